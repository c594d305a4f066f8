// Package replay plays recorded and made-up traffic through a whole edge and compares what comes out with
// what went in: every recorded exchange in every framing, and requests that two servers might read
// differently. It promises that an edge changes nothing it is not told to, breaks off what its target broke
// off, and settles each request once.
//
// It has tests only. Cases that somebody thought of one by one are elsewhere.
package replay
