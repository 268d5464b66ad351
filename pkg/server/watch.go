package server

import (
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// kubernetesData is the symbolic link through which all files of a mounted Secret or ConfigMap change at once.
const kubernetesData = "..data"

// watcher sees files and directories change. It watches the directories that files are in, because files are changed by
// putting another in their place.
type watcher struct {
	*fsnotify.Watcher
	files map[string]bool
	dirs  map[string]bool // of which every file counts
}

// watch watches paths. Those that cannot be are logged and left out.
func watch(paths []string, log *slog.Logger) (*watcher, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{Watcher: fs, files: map[string]bool{}, dirs: map[string]bool{}}
	for _, p := range paths {
		if err := w.add(p); err != nil {
			log.Warn("a path is not watched: send SIGHUP to reload it", "path", p, "err", err)
		}
	}
	return w, nil
}

func (w *watcher) add(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		w.dirs[path] = true
		return w.Add(path)
	}
	w.files[path] = true
	return w.Add(filepath.Dir(path))
}

// concerns reports whether e may change what the watched files hold. A new mode alone does not.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	return w.files[e.Name] || w.dirs[filepath.Dir(e.Name)] || filepath.Base(e.Name) == kubernetesData
}
