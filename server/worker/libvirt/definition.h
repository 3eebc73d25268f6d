/* Questions to a guest's definition (libvirt's XML). Pure; no host is asked. */
#pragma once

#include <stdbool.h>

/* A volume as definitions name it. */
struct definition_volume {
	const char *path;
	const char *pool, *name; /* NULL: not known */
};

/* Heap, the caller's; NULL when there is none, or when the definition cannot be read. */
char *definition_uuid(const char *definition);
/* 1: its TPM is emulated, so that libvirt keeps state for it outside of the disks; 0: not; -EINVAL: it cannot be read. */
int definition_has_tpm_state(const char *definition);
/* 1: a disk of the guest is the volume, or has it in its backing chain; 0: none; -EINVAL: it cannot be read. */
int definition_uses(const char *definition, const struct definition_volume *volume);
