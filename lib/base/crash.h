// SPDX-License-Identifier: BSD-3-Clause
// What a daemon says when it dies of a fatal signal: which one, where, in which thread, and the
// backtrace with the names of our functions; then it dies of that signal. Works with
// crash_symbols.h.
//
// The handler writes with write(2) alone and takes no lock of ours; backtrace(3) is warmed up
// before. Names of our own functions come from the program's symbol table, which was mapped at the
// start; of libraries only what backtrace_symbols_fd(3) knows is told, and an alarm ends the
// process should that hang.
#pragma once

// Take SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT, with a stack of its own for the calling thread.
// Once, at the start of the program, after phx_log_set_program(). Does nothing under a sanitizer,
// which has its own report.
void phx_crash_install(void);

// Give the calling thread such a stack too, so that it can tell of a stack that ran over. Without
// memory it goes without. For threads that live as long as the program.
void phx_crash_thread(void);
