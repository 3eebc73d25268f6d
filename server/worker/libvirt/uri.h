/* libvirt URIs of hosts: ours, and the one that another host's libvirt gets. Pure. */
#pragma once

/* Our own: with the directory of our certificates, where it is a TLS one that names none itself (heap, the caller's; NULL: out
 * of memory). `pki_path` NULL: libvirt's own place. */
char *uri_with_pki(const char *uri, const char *pki_path);
/* For a libvirtd on another machine: without that directory, which is ours. */
char *uri_for_peer(const char *uri);
