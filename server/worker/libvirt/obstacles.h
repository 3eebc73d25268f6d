/* What keeps a guest from moving anywhere. */
#pragma once

#include "server/worker/libvirt/internal.h"

/* -ECANCELED and CHECK_REFUSED_BY_SERVER when something does, the error saying what; 0 when nothing does. */
int libvirt_check_obstacles(struct libvirt_host *source, const char *uuid, struct check_result *check,
			    struct error *error);
