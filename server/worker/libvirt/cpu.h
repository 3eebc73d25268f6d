/* Whether a host can give a guest its CPU. The host's libvirt judges, for the guest's emulator, architecture, machine type and
 * kind: names of CPU models say nothing (qemu64 with `svm` disabled runs where the bare qemu64 does not).
 *
 *     struct cpu_question question;
 *     cpu_question_read(definition, CPU_AS_IT_RUNS, &question, error);
 *     libvirt_cpu_compare(target, &question, error);     // 0: it can, or there is nothing to compare
 */
#pragma once

#include "server/worker/libvirt/internal.h"

/* Which document of the guest is read. */
enum cpu_document {
	CPU_AS_IT_RUNS, /* of a running guest, plain (the migratable one lacks the features that are disabled) */
	CPU_AS_DEFINED, /* the definition from which a guest will be started */
};

/* What the host is asked. Heap strings are the owner's; NULL: the document does not say. */
struct cpu_question {
	char *cpu; /* the <cpu> element; NULL: there is nothing to compare */
	char *emulator; /* /usr/bin/qemu-system-x86_64 */
	char *arch; /* x86_64 */
	char *machine; /* pc-q35-7.2 */
	char *kind; /* the domain's type: kvm, qemu */
};

void cpu_question_clear(struct cpu_question *question);
#define CLEANUP_CPU_QUESTION CLEANUP(cpu_question_clear)

/* Pure. There is nothing to compare without <cpu>, with the host's own CPU (host-passthrough: the scheduler compares the hosts),
 * and in a definition that names no model or says check='none', since libvirt starts that guest without comparing. -ENOMEM. */
int cpu_question_read(const char *definition, enum cpu_document document, struct cpu_question *ret_question,
		      struct error *error);

/* 0: the host can, there is nothing to compare, or its libvirt does not compare for that architecture (then it decides when
 * the move begins). -ECANCELED: it cannot, and the error says why in libvirt's words; -EHOSTUNREACH: not known; -ENOMEM.
 * A host that can is not asked again until its connection or its capabilities change. Thread-safe. */
int libvirt_cpu_compare(struct libvirt_host *host, const struct cpu_question *question, struct error *error);

/* The part of a move's check that is about the CPU; as hypervisor.h, check_live and check_cold. `is_live`: the guest arrives
 * as it runs; else it is started from its definition. */
int libvirt_check_cpu(struct libvirt_host *source, struct libvirt_host *target, const char *uuid, bool is_live,
		      struct check_result *check, struct error *error);

/* The capabilities document as it was read over the host's present connection: what was answered under another one is
 * forgotten. */
void libvirt_cpu_note_capabilities(struct libvirt_host *host, virConnectPtr connection, const char *capabilities);

/* Hosts that can, by digests of what they were asked; bounded: a newer one takes an older one's place. Thread-safe. */
struct cpu_verdicts *cpu_verdicts_create(void); /* NULL: out of memory */
void cpu_verdicts_destroy(struct cpu_verdicts *verdicts); /* NULL: fine */
