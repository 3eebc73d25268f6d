/* Answers to what libvirt asks of whoever logs in. The password stays in memory for no longer than that. */
#include "server/worker/libvirt/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PASSWORD_BYTES 1024

struct login {
	const char *user_name;
	char password[PASSWORD_BYTES];
};

static int answer(virConnectCredentialPtr questions, unsigned int count, void *context)
{
	const struct login *login = context;

	for (unsigned int i = 0; i < count; i++) {
		const char *text = questions[i].type == VIR_CRED_AUTHNAME ? login->user_name : login->password;

		questions[i].result = strdup(text);
		if (!questions[i].result)
			return -1;
		questions[i].resultlen = (unsigned int)strlen(text);
	}
	return 0;
}

/* A file that cannot be read leaves the password empty, which libvirt refuses. */
static void read_password(const char *path, struct login *login)
{
	CLEANUP_FCLOSE FILE *file = path ? fopen(path, "re") : NULL;

	if (!file || !fgets(login->password, sizeof(login->password), file))
		login->password[0] = '\0';
	login->password[strcspn(login->password, "\r\n")] = '\0';
}

virConnectPtr libvirt_login_open(const char *uri, const char *user_name, const char *password_file)
{
	int kinds[] = { VIR_CRED_AUTHNAME, VIR_CRED_PASSPHRASE };
	struct login login = { .user_name = user_name };
	virConnectAuth questions = { kinds, ARRAY_LENGTH(kinds), answer, &login };

	if (!user_name)
		return virConnectOpen(uri);
	read_password(password_file, &login);
	virConnectPtr connection = virConnectOpenAuth(uri, &questions, 0);
	explicit_bzero(login.password, sizeof(login.password));
	return connection;
}
