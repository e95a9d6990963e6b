package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// ggufModels gives the models of --gguf, after a look that they can be served at all.
func ggufModels(files []string) ([]*fleet.Model, error) {
	if len(files) == 0 {
		return nil, nil
	}
	models := make([]*fleet.Model, len(files))
	for i, file := range files {
		if err := readableFile(file); err != nil {
			return nil, fmt.Errorf("--gguf %s: %w", file, err)
		}
		m := engine.GGUF(file)
		m.Pool, m.IdleAfter = fleet.LocalPool, devIdleAfter
		models[i] = m
	}
	if _, err := exec.LookPath("llama-server"); err != nil {
		return nil, errors.New("--gguf needs llama.cpp's llama-server on PATH; install llama.cpp, or leave --gguf out")
	}
	return models, nil
}

func readableFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			return pathErr.Err
		}
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	return err
}
