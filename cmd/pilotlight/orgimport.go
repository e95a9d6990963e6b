package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/openai"
	"github.com/pilotlight-io/pilotlight/internal/private"
	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

// orgImportCmd makes organisations and tokens what a file says.
type orgImportCmd struct {
	File    string `arg:"" complete:"file" help:"The file, in HCL, or in JSON if its name ends in .json."`
	DryRun  bool   `name:"dry-run" help:"Only print the difference."`
	Secrets string `placeholder:"FILE" complete:"file" help:"Make the secrets of new tokens that have no sha256, and add them to this file, which only its owner may read: a JSON object a line."`
	serverFlags
	jsonFlag
}

// Run prints what would change, then has it changed. Secrets are in their file before the server hears of their hashes, so that none is lost however it ends.
func (c orgImportCmd) Run(env *Env) error {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("reading the import file: %w", err)
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	file := admin.ImportFile{Name: c.File, Content: string(content)}
	ahead, err := client.Import(env.ctx, file, true)
	if err != nil {
		return listRefused(env, "file", err)
	}
	if c.DryRun || !c.JSON {
		if err := c.print(env, ahead); err != nil {
			return err
		}
	}
	if c.DryRun {
		if n := len(ahead.Missing); n > 0 {
			env.say("%s without sha256: --secrets FILE makes their secrets", newTokens(n))
		}
		return nil
	}
	return c.apply(env, client, file, ahead)
}

func newTokens(n int) string {
	if n == 1 {
		return "1 new token"
	}
	return fmt.Sprintf("%d new tokens", n)
}

func (c orgImportCmd) print(env *Env, found *admin.Imported) error {
	if c.JSON {
		return writeJSON(env.Stdout, found)
	}
	if len(found.Changes) == 0 {
		env.say("nothing to change")
	}
	for _, one := range found.Changes {
		if _, err := fmt.Fprintln(env.Stdout, one.Text); err != nil {
			return err
		}
	}
	return nil
}

// apply has the file imported, with secrets for the tokens that need one.
func (c orgImportCmd) apply(env *Env, client *admin.Client, file admin.ImportFile, ahead *admin.Imported) error {
	var made *secretsFile
	if n := len(ahead.Missing); n > 0 {
		if c.Secrets == "" {
			return fmt.Errorf("%s without sha256 (%s); say with --secrets FILE where their secrets are to be written", newTokens(n), namesOf(ahead.Missing))
		}
		var err error
		if made, err = openSecrets(c.Secrets); err != nil {
			return err
		}
		defer made.close()
		if file.Hashes, err = made.add(ahead.Missing); err != nil {
			return err
		}
	}
	done, err := client.Import(env.ctx, file, false)
	var refused *openai.Error
	switch {
	case errors.As(err, &refused) && refused.Status < 500 && made != nil: // nothing was changed
		return errors.Join(listRefused(env, "file", err), made.undo())
	case err != nil && made != nil:
		return fmt.Errorf("%w; if the server has done it all the same, the secrets are in %s", err, c.Secrets)
	case err != nil:
		return listRefused(env, "file", err)
	}
	if c.JSON {
		if err := writeJSON(env.Stdout, done); err != nil {
			return err
		}
	}
	sayApplied(env, len(done.Changes))
	if made != nil {
		env.say("the secrets of %s are in %s", newTokens(len(file.Hashes)), c.Secrets)
	}
	return nil
}

func namesOf(tokens []admin.TokenName) string {
	const shown = 5
	var names []string
	for i, t := range tokens {
		if i == shown {
			names = append(names, "…")
			break
		}
		names = append(names, t.Org+"/"+t.Name)
	}
	return strings.Join(names, ", ")
}

// secretsFile takes the secrets of new tokens, a line each.
type secretsFile struct {
	file    *os.File
	created bool
	size    int64 // before anything was added
	added   int64
}

// openSecrets opens a file that only its owner may read, or makes it. It refuses a link, and one that others may read or write.
func openSecrets(path string) (*secretsFile, error) {
	if err := private.CheckSecret(path); err != nil {
		return nil, fmt.Errorf("secrets are not written: %w", err)
	}
	_, before := os.Lstat(path)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("secrets are not written: %w", err)
	}
	opened, err := file.Stat()
	named, lerr := os.Lstat(path)
	if err := errors.Join(err, lerr); err != nil {
		return nil, errors.Join(fmt.Errorf("secrets are not written: %w", err), file.Close())
	}
	if !opened.Mode().IsRegular() || !os.SameFile(opened, named) || opened.Mode().Perm()&^fs.FileMode(0o600) != 0 { // also of one that somebody has put there since
		return nil, errors.Join(fmt.Errorf("secrets are not written: %s is no file of mode 0600", path), file.Close())
	}
	return &secretsFile{file: file, created: errors.Is(before, fs.ErrNotExist), size: opened.Size()}, nil
}

// add makes secrets, writes them, and gives their hashes once the disk has them.
func (s *secretsFile) add(tokens []admin.TokenName) (hashes []admin.TokenHash, err error) {
	var lines []byte
	for _, t := range tokens {
		secret := tenant.NewSecret()
		line, err := json.Marshal(struct {
			Org   string `json:"org"`
			Name  string `json:"name"`
			Token string `json:"token"`
		}{t.Org, t.Name, secret})
		if err != nil {
			return nil, err
		}
		lines = append(append(lines, line...), '\n')
		sum := sha256.Sum256([]byte(secret))
		hashes = append(hashes, admin.TokenHash{Org: t.Org, Name: t.Name, SHA256: hex.EncodeToString(sum[:])})
	}
	s.added = int64(len(lines))
	if _, err = s.file.Write(lines); err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing secrets: %w", err), s.undo())
	}
	return hashes, nil
}

// undo takes back what was added, for no token has it; unless something else has come behind it.
func (s *secretsFile) undo() error {
	now, err := s.file.Stat()
	switch {
	case err != nil:
		return err
	case now.Size() > s.size+s.added:
		return nil
	case s.created:
		return os.Remove(s.file.Name())
	}
	return s.file.Truncate(s.size)
}

func (s *secretsFile) close() { _ = s.file.Close() }
