package snapsync

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Changes are kept one behind another in a file of their own, since replacing a file takes ten times the processor that adding to one does, and
// sometimes waits for the disk. What is full of them is folded into a file for each value, beside the changes that come then.
const (
	changesName = "changes"
	olderName   = "changes.older"
	mostChanges = 8 << 20 // bytes; there may be two such files
)

// changes is a file of values, each of which replaces those of its name before it. A record is the size of what follows, the size of the
// name, the name and the sealed value.
type changes struct {
	path string
	most int64            // that it may have
	size int64            // of the records that are whole; what may be behind them is not used
	at   map[string]place // where the newest value of each name is
}

type place struct {
	from int64
	size int
}

func newChanges(path string) changes {
	return changes{path: path, most: mostChanges, at: map[string]place{}}
}

// errFull says that there is no room for another record.
var errFull = errors.New("the file of changes is full")

// recordHead is the size of a record without name and value.
const recordHead = 5

// load reads the records that an earlier life of the process has written, and hands over each as long as take does not fail: what follows one
// that was damaged is not used, so that the values are those of one moment.
func (c *changes) load(take func(name string, sealed []byte) error) error {
	c.size, c.at = 0, map[string]place{}
	data, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for len(data) > 0 {
		name, sealed, rest, ok := nextRecord(data)
		if !ok {
			return errDamaged
		}
		if err := take(name, sealed); err != nil {
			return err
		}
		end := c.size + int64(len(data)-len(rest))
		c.at[name] = place{end - int64(len(sealed)), len(sealed)}
		c.size, data = end, rest
	}
	return nil
}

var errDamaged = errors.New("a record is not whole")

func nextRecord(data []byte) (name string, sealed, rest []byte, ok bool) {
	if len(data) < recordHead {
		return "", nil, nil, false
	}
	size, named := uint64(binary.LittleEndian.Uint32(data)), uint64(data[4])
	if data = data[recordHead:]; uint64(len(data)) < size || size < named {
		return "", nil, nil, false
	}
	return string(data[:named]), data[named:size], data[size:], true
}

// add writes a value behind the others. It fails with errFull where there is no room, and has changed nothing that counts after any error.
func (c *changes) add(name string, sealed []byte) error {
	record := make([]byte, recordHead, recordHead+len(name)+len(sealed))
	if c.size+int64(cap(record)) > c.most {
		return errFull
	}
	binary.LittleEndian.PutUint32(record, uint32(len(name)+len(sealed)))
	record[4] = byte(len(name))
	record = append(append(record, name...), sealed...)
	f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // the directory went away, and all in it
		if err = os.MkdirAll(filepath.Dir(c.path), 0o700); err == nil {
			f, err = os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE, 0o600)
		}
	}
	if err != nil {
		return err
	}
	err = c.write(f, name, record)
	return errors.Join(err, f.Close())
}

func (c *changes) write(f *os.File, name string, record []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < c.size { // somebody took it away: there is nothing before this record
		c.size = 0
		clear(c.at)
	}
	if info.Size() != c.size {
		if err := f.Truncate(c.size); err != nil {
			return err
		}
	}
	if _, err := f.WriteAt(record, c.size); err != nil {
		return err
	}
	sealed := len(record) - recordHead - len(name)
	c.at[name] = place{c.size + int64(len(record)-sealed), sealed}
	c.size += int64(len(record))
	return nil
}

// value reads the newest value of a name.
func (c *changes) value(name string) ([]byte, error) {
	f, err := os.Open(c.path)
	if err != nil {
		return nil, err
	}
	at := c.at[name]
	sealed := make([]byte, at.size)
	_, err = f.ReadAt(sealed, at.from)
	return sealed, errors.Join(err, f.Close())
}

// sync returns when what was added before is on the disk, whatever becomes of the machine.
func (c *changes) sync() error {
	f, err := os.OpenFile(c.path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// remove forgets all records.
func (c *changes) remove() error {
	c.size = 0
	clear(c.at)
	if err := os.Remove(c.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
