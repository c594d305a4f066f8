// Package usage reads what a process takes of the machine. What it takes is that of itself and of all processes below it, as those of
// NGINX's workers.
package usage
