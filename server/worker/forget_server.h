/* A server whose guest no host has any more: its row, and all that its moves still hold. */
#pragma once

struct db_session;
struct error;

/* Within the writer's transaction. The server is deleted, and as Nova does when a resized server is deleted, a move of its that
 * waits for confirmation ends as `confirmed`; any other that has not ended ends as `error`. Its claims are released and its
 * saved definitions deleted, so that nothing of them keeps a host from being removed. The volumes that its moves recorded
 * become chores: a copy on a host where the server was not is removed there, a disk of which the server's host has the copy is
 * removed on the source. A disk that may be whole is removed only after its copy was looked at.
 *
 * -ENOENT: there is no such server; -EBUSY: an unfinished job has it. */
int forget_server(struct db_session *session, const char *uuid, struct error *error);
