// SPDX-License-Identifier: BSD-3-Clause
// One exchange of hellos on a TCP socket, without blocking and within a time: what has to happen
// before a lane of a link is given to a worker. Never reads beyond the hello. Control thread.
#pragma once

#include "dataplane/control/loop.h"
#include "lib/wire/frame.h"
#include "lib/wire/hello.h"

#include <sys/socket.h>

#define EXCHANGE_TEXT 160

struct exchange;
// The exchange is over: rc 0, or a negative errno value with x->reason and x->text. Dialer: the
// answer is in x->peer. Acceptor: the peer's hello is there and exchange_answer() or
// exchange_refuse() is due. Once more with -ECONNRESET when the peer hangs up after that. Not
// called after exchange_stop(), which is legal inside.
typedef void (*exchange_fn)(struct exchange *x, int rc);

struct exchange {
	struct ctl_loop *loop;
	struct ctl_source source; // owns the socket; fd -1 = none
	struct timer timer;
	exchange_fn done;
	bool dialer;
	bool connecting;
	bool body;     // the header is complete
	bool complete; // the peer's hello is there
	struct phx_wire_hello own;
	struct phx_wire_hello peer;
	struct phx_frame frame;
	enum phx_reason reason;
	char text[EXCHANGE_TEXT];
	uint32_t in_len;
	uint8_t in[PHX_FRAME_HEADER + PHX_LIMIT_STATUS_TEXT_BYTES];
};

// Make it stoppable before it is started.
void exchange_init(struct exchange *x, struct ctl_loop *loop);
// Connect to `to` and say own. 0: done() follows; or -errno of socket, connect or epoll.
int exchange_dial(struct exchange *x, const struct sockaddr *to, socklen_t to_len,
	const struct phx_wire_hello *own, uint64_t timeout_ns, exchange_fn done);
// Wait for the hello of an accepted socket, which is taken over in any case. 0 or -errno.
int exchange_accept(struct exchange *x, int take_fd, uint64_t timeout_ns, exchange_fn done);
// Answer the peer's hello with own; its versions and features become those in common. 0 or -EPIPE.
int exchange_answer(struct exchange *x, const struct phx_wire_hello *own);
// Say why not. The connection should be stopped then.
void exchange_refuse(
	struct exchange *x, enum phx_code code, enum phx_reason reason, const char *text);
// The socket is the caller's from here on; the exchange is stopped.
int exchange_take_fd(struct exchange *x);
// Close and forget; repeating it is harmless.
void exchange_stop(struct exchange *x);
