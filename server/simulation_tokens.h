/* Words that stand for tokens in front of a simulated fleet, where there is nothing to protect. */
#pragma once

#include "api/auth/token_authority.h"

struct simulation_settings;

/* Knows the settings' tokens, by heart; they are borrowed for as long as it is asked. */
struct token_authority simulation_tokens(const struct simulation_settings *settings);
