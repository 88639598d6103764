// SPDX-License-Identifier: BSD-3-Clause
// The book: a file that all clients and servers of a run map. Every call has a row, named by the
// call's unique id; the server writes executions into it and the client how the call ended, so
// that it survives any of them. check.c judges it.
//
// Rows are written by the one client that took the id, executions by any server; whoever dies in
// the middle leaves a row that says how far it came.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BOOK_MAGIC   UINT64_C(0x3172676c78687001)
#define BOOK_CLIENTS 256
#define BOOK_ROWS    (UINT32_C(1) << 20)

enum book_state {
	BOOK_FREE = 0,
	BOOK_TAKEN = 1,	  // id given out, not yet known whether the library accepts the call
	BOOK_OPEN = 2,	  // accepted
	BOOK_ENDED = 3,	  // its callback ran
	BOOK_REFUSED = 4, // not accepted: may never run
};

// How a client ended; one that is killed stays RUNS.
enum book_client_state { BOOK_CLIENT_NONE, BOOK_CLIENT_RUNS, BOOK_CLIENT_DONE };

struct book_client {
	_Atomic uint32_t state;
	int32_t pid;
};

struct book_row {
	_Atomic uint32_t state;
	_Atomic uint32_t executions;  // handlers that began
	_Atomic uint32_t completions; // callbacks that ran
	uint32_t client;
	uint64_t begin_ns;
	uint64_t end_ns;
	uint64_t deadline_ns;
	uint8_t code, origin, executed, bad_content;
	uint16_t reason;
	uint16_t cancelled;
};

struct book {
	uint64_t magic;
	_Atomic uint32_t next;	  // id to be given out; 0 is never
	_Atomic uint32_t clients; // numbers given out
	_Atomic uint64_t ended;	  // calls
	_Atomic uint64_t ok;
	_Atomic uint64_t executions;
	_Atomic uint64_t sessions; // begun by anybody
	struct book_client client[BOOK_CLIENTS];
	struct book_row rows[BOOK_ROWS];
};

uint64_t book_now_ns(void);
// A new file, or one that is there; mapped until the process ends. NULL: said why on stderr.
struct book *book_create(const char *path);
struct book *book_open(const char *path);
// A number for this process; BOOK_CLIENTS when there is none left.
uint32_t book_client_begin(struct book *book);
// A row for a call that is about to start; 0 when the book is full.
uint32_t book_take(struct book *book, uint32_t client, uint64_t deadline_ns);
// By a server. False: not an id of this book.
bool book_execute(struct book *book, uint64_t id);
