//go:build unix

package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Image is the one image that a cluster's Docker engine has: it bears the name of TensorRT-LLM's, which the job files ask for, and its
// trtllm-serve is the simulator.
const Image = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc22"

// importImage builds the simulator and makes an image of it. Nothing is fetched.
func (d *Docker) importImage(ctx context.Context) error {
	program := filepath.Join(d.agent.dir, "trtllm-serve")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/pilotlight-io/pilotlight/cmd/trtsim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the simulator: %w\n%s", err, out)
	}
	files, err := archive(program, "usr/local/bin/trtllm-serve")
	if err != nil {
		return fmt.Errorf("packing the image: %w", err)
	}
	repo, tag, _ := strings.Cut(Image, ":")
	query := url.Values{"fromSrc": {"-"}, "repo": {repo}, "tag": {tag}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.agent.Addr+"/images/create?"+query.Encode(), files)
	if err != nil {
		return fmt.Errorf("importing the image: %w", err)
	}
	if err := exchange(d.agent.client, request, nil); err != nil {
		return fmt.Errorf("importing the image: %w", err)
	}
	return d.Ask(ctx, "/images/"+Image+"/json", nil) // a failed import is answered 200 too
}

// archive packs one program.
func archive(program, as string) (*bytes.Buffer, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: as, Mode: 0o755, Size: int64(len(text))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	return &out, w.Close()
}
