// SPDX-License-Identifier: BSD-3-Clause
// No policies: what a session without a chain asks of the policy host. Works with bed.h.
#include "dataplane/core/chain.h"

#include <stdlib.h>

void chain_run(struct worker *worker, const struct chain *chain, enum policy_point point,
	struct chain_item *items, unsigned n)
{
	(void)worker;
	(void)chain;
	(void)point;
	(void)items;
	(void)n;
	abort();
}

void chain_unhold(struct worker *worker, struct call_policy *policy)
{
	(void)worker;
	(void)policy; // nothing is ever held
}

void chain_hold_moved(struct call_policy *policy, struct message *message)
{
	(void)policy;
	(void)message;
	abort();
}

void chain_call_end(struct worker *worker, struct call_policy *policy, const struct chain_end *end)
{
	(void)worker;
	(void)policy;
	(void)end;
}

const struct phx_inspect *chain_inspect(const struct chain *chain, const struct phx_schema *schema)
{
	(void)chain;
	(void)schema;
	return NULL;
}

void chain_trust_bind(const struct chain *chain, struct chain_trust_request *request)
{
	(void)chain;
	(void)request;
	abort();
}

void chain_trust_release(struct chain_trust_request *request)
{
	(void)request;
	abort();
}

void chain_trust_changed(const struct chain *chain, const struct worker *worker)
{
	(void)chain;
	(void)worker;
}
