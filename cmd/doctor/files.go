package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const (
	byGroup   fs.FileMode = 0o070
	byOthers  fs.FileMode = 0o007
	toWrite   fs.FileMode = 0o022
	ownerOnly             = byGroup | byOthers
)

// openFiles finds files of secrets that others than their owner can read or change.
func openFiles(_ context.Context, in *Installation) []Finding {
	if runtime.GOOS == "windows" { // its files have no such modes
		return nil
	}
	var found []Finding
	for _, file := range privateFiles(in) {
		info, err := os.Stat(file.path)
		if err != nil {
			continue // what is not there yet is made private
		}
		found = append(found, file.judge(info)...)
	}
	return found
}

// privateFile is a file or directory that holds secrets.
type privateFile struct {
	setting string
	path    string
	barred  fs.FileMode // the permissions that it is not to have
}

// privateFiles returns the files that are looked at. In a directory of secrets the group may read: Kubernetes lets it, by fsGroup.
func privateFiles(in *Installation) []privateFile {
	c := in.Config
	files := []privateFile{
		{"ACCESS_JWT_PRIVATE_KEY_FILE", c.Tokens.AccessKeyFile, byOthers | toWrite},
		{"POWERSYNC_JWT_PRIVATE_KEY_FILE", c.PowerSync.KeyFile, byOthers | toWrite},
		{"DATA_DIR", c.DataDir, ownerOnly},
	}
	if c.Database.Path != "" {
		files = append(files, privateFile{"DATABASE_URL", c.Database.Path, ownerOnly})
	}
	files = append(files, within("DATA_DIR", c.DataDir, ownerOnly)...)
	files = append(files, within("SECRETS_DIR", c.SecretsDir, byOthers|toWrite)...)
	for _, path := range in.Report.Paths {
		if strings.HasPrefix(filepath.Base(path), ".dev.vars") {
			files = append(files, privateFile{filepath.Base(path), path, ownerOnly})
		}
	}
	slices.SortStableFunc(files, func(a, b privateFile) int { return strings.Compare(a.path, b.path) })
	return slices.CompactFunc(files, func(a, b privateFile) bool { return a.path == b.path })
}

// within returns the regular files of a directory, without those that begin with a dot.
func within(setting, dir string, barred fs.FileMode) []privateFile {
	entries, err := os.ReadDir(dir)
	if dir == "" || err != nil {
		return nil
	}
	var files []privateFile
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !strings.HasPrefix(entry.Name(), ".") {
			files = append(files, privateFile{setting, path, barred})
		}
	}
	return files
}

func (f privateFile) judge(info fs.FileInfo) []Finding {
	excess := info.Mode().Perm() & f.barred
	mode := info.Mode().Perm() &^ f.barred
	remedy := fmt.Sprintf("chmod %03o %s", mode, f.path)
	if f.setting == "SECRETS_DIR" {
		remedy += ", or defaultMode: 0440 of a Kubernetes volume"
	}
	switch {
	case excess&toWrite != 0:
		return []Finding{failure(f.path, "can be changed by others than its owner ("+f.setting+")", remedy)}
	case excess != 0:
		return []Finding{warning(f.path, "can be read by others than its owner ("+f.setting+")", remedy)}
	}
	return nil
}
