package edge

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/account"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

const (
	// prefetched is how much of a body fasthttp has read before a handler runs.
	prefetched = 8 << 10
	// MinRate is how many bytes a second an upload has to have at least, from its start on, and uploadGrace how long it may be behind that.
	// fasthttp's ReadTimeout is one deadline for head and body together, which would cut a steady upload of a large body.
	MinRate     = 16 << 10
	uploadGrace = 10 * time.Second
	// An upload that is ahead of its rate may still not pause: so many bytes within so much time.
	progressSpan     = 64 << 10
	progressPatience = 10 * time.Second
	// firstPiece is what is read of a body before memory for more is taken: it is charged as it comes.
	firstPiece = 16 << 10
	// chargePiece is how much of a large body is charged at once.
	chargePiece = 256 << 10
	// memoryPatience is how long an upload may wait for memory.
	memoryPatience = 5 * time.Second
)

// Body is a request body in memory that is given back by hand. Its bytes are valid until Free.
type Body struct {
	B   []byte
	mem *Buffer // that B lies in
}

// Free gives the memory back. It may be called again. The account is its request's to settle.
func (b *Body) Free() {
	b.mem.Release()
	*b = Body{}
}

// Replace makes b the body. What was charged for it stays charged: what it is replaced by says the same.
func (b *Body) Replace(with []byte) {
	b.Free()
	b.B = with
}

// Upload says how a body is to be read.
type Upload struct {
	Limit  int             // bytes; a larger body is refused
	Charge *account.Charge // what it is charged to; nil = nobody
	Stop   <-chan struct{} // ends the wait for memory; nil = nothing does
}

// Read reads a request's body. fasthttp enforces no limit on a streamed body, and its own ways to read one keep the buffer for ever or
// gunzip without bound.
func (u Upload) Read(ctx *fasthttp.RequestCtx, b *Body) *Refusal {
	length := ctx.Request.Header.ContentLength()
	if length > u.Limit {
		return TooLarge(length, u.Limit)
	}
	stream := ctx.Request.BodyStream()
	if stream == nil {
		return nil
	}
	in := intake{Upload: u, from: stream, conn: Of(ctx), body: b, length: length}
	if in.conn != nil {
		in.conn.upload.Store(uploadRead)
		in.conn.framing = framing{counts: length < 0}
		defer in.conn.endUpload()
	}
	err := in.read()
	if err == nil {
		in.conn.noteTaken(ctx, length)
		in.conn.noteEnd(ctx)
		return nil
	}
	b.Free()
	return in.refusal(err)
}

// TooLarge refuses a body by its announced length.
func TooLarge(length, limit int) *Refusal {
	return refuse(openai.CodeRequestTooLarge, "The request body has %d bytes; the limit is %d.", length, limit)
}

func (in *intake) refusal(err error) *Refusal {
	var r *Refusal
	switch {
	case errors.Is(err, account.ErrShare):
		r = refuse(openai.CodeOverloaded, "The organisation's requests hold their share of the server's memory. Please retry when some of them have ended.")
		r.After = memoryPatience
	case errors.Is(err, account.ErrFull), errors.Is(err, errNoMemory):
		r = refuse(openai.CodeOverloaded, "The server holds as many request bodies as it can. Please retry.")
		r.After = time.Second
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		r = refuse(openai.CodeRequestTooLarge, "The request body is larger than the limit of %d bytes.", in.Limit)
	case isTimeout(err):
		r = refuse(openai.CodeRequestTimeout, "The request body arrived too slowly: it has to have %d KiB a second on the whole, and may not pause.", MinRate>>10).closing()
	default:
		r = refuse(openai.CodeInvalidRequest, "The request body ended early or is framed badly.").closing()
	}
	r.Cause = err
	return r
}

var errNoMemory = errors.New("the system has no memory to map")

// intake reads one body.
type intake struct {
	Upload
	from   io.Reader
	conn   *Conn
	body   *Body
	length int // -1 = not known

	began   time.Time // later by what it has waited for memory; zero = no deadline was needed yet
	charged int       // bytes
	marked  int       // bytes read when the deadline was last set
}

func (in *intake) read() error {
	if in.length < 0 || in.length > prefetched { // else no deadline but the head's is needed, nor a look at the clock
		in.began = time.Now()
		in.expectProgress(0)
	}
	for n := 0; ; {
		if in.length >= 0 && n == in.length {
			return nil
		}
		if err := in.reserve(n + 1); err != nil {
			return err
		}
		got, err := in.from.Read(in.body.mem.B[n:min(in.charged, len(in.body.mem.B))])
		n += got
		in.body.B = in.body.mem.B[:n]
		in.conn.noteBody(n)
		switch {
		case n > in.Limit:
			return fasthttp.ErrBodyTooLarge
		case err == io.EOF && n < in.length:
			return io.ErrUnexpectedEOF
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if n-in.marked >= progressSpan {
			in.marked = n
			in.expectProgress(n)
		}
	}
}

// reserve sees that there is room for n bytes, and that they are charged.
func (in *intake) reserve(n int) error {
	if n <= in.charged {
		return nil
	}
	size := in.room(n)
	if err := in.charge(min(size, in.charged+max(chargePiece, in.charged/8)) - in.charged); err != nil {
		return err
	}
	if in.body.mem != nil && n <= len(in.body.mem.B) {
		return nil
	}
	mem, err := AcquireBuffer(size)
	if err != nil {
		return errNoMemory
	}
	had := copy(mem.B, in.body.B)
	in.body.mem.Release()
	*in.body = Body{B: mem.B[:had], mem: mem}
	return nil
}

// room is how large a buffer for n bytes is. A large body gets one for the whole of it: the system gives it memory as it is written to. One
// byte above the limit tells a body that is too large.
func (in *intake) room(n int) int {
	most := in.Limit + 1
	if in.length >= 0 {
		most = in.length
	}
	switch {
	case in.body.mem == nil:
		return min(most, firstPiece)
	case n <= len(in.body.mem.B):
		return min(most, len(in.body.mem.B))
	case n > largestBuffer:
		return most
	}
	return min(most, 4*n)
}

// charge charges n more bytes, and waits for them where memory is short: the caller cannot send meanwhile, and is not blamed for it.
func (in *intake) charge(n int) error {
	if in.Charge != nil {
		err := in.Charge.Take(account.Request, int64(n))
		if err != nil {
			since := time.Now()
			if in.began.IsZero() {
				in.began = since
			}
			err = in.Charge.Await(account.Request, int64(n), memoryPatience, in.Stop)
			in.began = in.began.Add(time.Since(since))
			in.expectProgress(len(in.body.B))
		}
		if err != nil {
			return err
		}
	}
	in.charged += n
	return nil
}

// expectProgress sets the moment by which more has to have come.
func (in *intake) expectProgress(n int) {
	if in.conn == nil {
		return
	}
	due := in.began.Add(uploadGrace + time.Duration(n)*(time.Second/MinRate))
	if pause := time.Now().Add(progressPatience); pause.Before(due) {
		due = pause
	}
	_ = in.conn.SetReadDeadline(due)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return os.IsTimeout(err) || errors.As(err, &timeout) && timeout.Timeout()
}
