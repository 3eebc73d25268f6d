/* The authority over the simulation's tokens: it looks into a list. */
#include "server/simulation_tokens.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "server/command.h"
#include "server/settings.h"

static struct caller *bearer_of(const struct simulated_token_settings *token)
{
	struct verb_list roles = { .count = 0 };

	for (size_t i = 0; i < token->role_count && roles.count < VERB_LIST_MAX; i++)
		roles.items[roles.count++] = token->roles[i];
	command_imply_roles(&roles);
	return caller_create(&(struct caller){ .user_id = token->user,
					       .project_id = token->project,
					       .roles = roles.items,
					       .role_count = (size_t)roles.count,
					       .is_admin_project = true,
					       .expires_us = INT64_MAX });
}

static void ask(void *context, const char *text, token_answer_fn answer, void *answer_context)
{
	const struct simulation_settings *settings = context;
	struct error error = { 0 };

	for (size_t i = 0; i < settings->token_count; i++) {
		if (!text_equal(settings->tokens[i].token, text))
			continue;
		struct caller *caller = bearer_of(&settings->tokens[i]);
		int result = caller ? 0 : error_no_memory(&error);

		answer(answer_context, result, caller, &error);
		return;
	}
	error_set(&error, EKEYREJECTED, "it is none of the simulation's tokens");
	answer(answer_context, -EKEYREJECTED, NULL, &error);
}

struct token_authority simulation_tokens(const struct simulation_settings *settings)
{
	return (struct token_authority){ .ask = ask, .context = (void *)(uintptr_t)settings };
}
