package fastlane

import "net"

// vector writes two pieces with one system call, and without memory for the list of them.
type vector struct {
	pieces [2][]byte
	list   net.Buffers
}

// write sends p and q, and says how many bytes of them have left.
func (v *vector) write(conn net.Conn, p, q []byte) (int64, error) {
	v.pieces = [2][]byte{p, q}
	v.list = v.pieces[:]
	n, err := v.list.WriteTo(conn)
	v.pieces, v.list = [2][]byte{}, nil
	return n, err
}
