package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
)

const extension = ".epub"

// openDirectory finds the names of the files; what a link leads to outside of the directory is not read.
func openDirectory(dir string) (*Source, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	var found []Find
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil:
			found = append(found, Find{Name: name, Err: err})
		case !entry.IsDir() && strings.ToLower(path.Ext(name)) == extension:
			found = append(found, Find{Name: name})
		}
		return nil
	})
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	return &Source{Path: dir, Size: len(found), books: readFiles(root, found), close: root.Close}, nil
}

// readFiles yields what is in the files that were found.
func readFiles(root *os.Root, found []Find) func(context.Context) iter.Seq[Find] {
	return func(ctx context.Context) iter.Seq[Find] {
		return func(yield func(Find) bool) {
			for _, f := range found {
				if f.Err == nil {
					f.Err = f.readFile(ctx, root)
				}
				if ctx.Err() != nil || !yield(f) {
					return
				}
			}
		}
	}
}

// readFile looks before it opens: a pipe would have it wait for ever.
func (f *Find) readFile(ctx context.Context, root *os.Root) error {
	if info, err := root.Stat(f.Name); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("it is no file")
	}
	file, err := root.Open(f.Name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	h := sha256.New()
	size, err := io.Copy(h, reader{ctx, file})
	if err != nil {
		return err
	}
	f.Digest = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return f.readEPUB(file, size)
}

// reader reads until its context ends.
type reader struct {
	ctx context.Context //nolint:containedctx // of one call of io.Copy
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
