// Package gossip is a group whose members find each other, and find out who is
// gone, by gossip over UDP: github.com/hashicorp/memberlist. Its tests run one
// member on each of five real processes, and part them, kill one, lose their
// datagrams and slow them down.
//
// The group (group.go) knows nothing of tests. In the tests, node_test.go is what
// the nodes can be asked to do, and gossip_test.go what must hold.
package gossip
