/* Logging in to libvirt (SASL) with a user name and a password file. */
#pragma once

#include <libvirt/libvirt.h>

/* As virConnectOpen; `user_name` NULL: without a login. The file's first line is the password; it is read anew each time.
 * NULL with the reason in libvirt's last error. */
virConnectPtr libvirt_login_open(const char *uri, const char *user_name, const char *password_file);
