// SPDX-License-Identifier: BSD-3-Clause
// See crash_symbols.h. The file is ours, but it may be cut or strange all the same: every range is
// checked before it is used.
#include "lib/base/crash_symbols.h"

#include "lib/base/bits.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUILD_ID_MAX 32

static struct {
	uintptr_t base;	      // added to the addresses of the file
	uintptr_t start, end; // of its segments
	const ElfW(Sym) * symbols;
	size_t symbol_count;
	const char *names; // ends with NUL
	size_t names_size;
	char build_id[2 * BUILD_ID_MAX + 1];
} own;

static void note_build_id(const uint8_t *note, size_t size)
{
	static const char hex[] = "0123456789abcdef";

	while (size >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) h;
		size_t name, desc;

		memcpy(&h, note, sizeof(h));
		name = sizeof(h) + phx_align_up(h.n_namesz, 4);
		desc = phx_align_up(h.n_descsz, 4);
		if (name > size || desc > size - name)
			return;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 &&
			memcmp(note + sizeof(h), "GNU", 4) == 0 && h.n_descsz <= BUILD_ID_MAX) {
			for (size_t i = 0; i < h.n_descsz; i++) {
				own.build_id[2 * i] = hex[note[name + i] >> 4];
				own.build_id[2 * i + 1] = hex[note[name + i] & 15];
			}
			return;
		}
		note += name + desc;
		size -= name + desc;
	}
}

// The program is the first object.
static int take_first(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	own.base = info->dlpi_addr;
	own.start = UINTPTR_MAX;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t at = own.base + p->p_vaddr;

		if (p->p_type == PT_LOAD) {
			own.start = at < own.start ? at : own.start;
			own.end = at + p->p_memsz > own.end ? at + p->p_memsz : own.end;
		} else if (p->p_type == PT_NOTE) {
			note_build_id((const uint8_t *)at, p->p_memsz);
		}
	}
	return 1;
}

static bool names_ok(const uint8_t *file, size_t size, const ElfW(Shdr) * names)
{
	return phx_range_ok(names->sh_offset, names->sh_size, size) && names->sh_size != 0 &&
	       file[names->sh_offset + names->sh_size - 1] == '\0';
}

static void find_table(const uint8_t *file, size_t size)
{
	const ElfW(Ehdr) *e = (const void *)file;
	const ElfW(Shdr) * sections;

	if (size < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
		e->e_shentsize != sizeof(*sections) ||
		!phx_range_ok(e->e_shoff, (uint64_t)e->e_shnum * sizeof(*sections), size) ||
		e->e_shoff % sizeof(uint64_t) != 0)
		return;
	sections = (const void *)(file + e->e_shoff);
	for (unsigned i = 0; i < e->e_shnum; i++) {
		const ElfW(Shdr) *s = &sections[i];

		if (s->sh_type != SHT_SYMTAB || s->sh_link >= e->e_shnum ||
			!phx_range_ok(s->sh_offset, s->sh_size, size) ||
			s->sh_offset % sizeof(uint64_t) != 0 ||
			!names_ok(file, size, &sections[s->sh_link]))
			continue;
		own.names = (const char *)file + sections[s->sh_link].sh_offset;
		own.names_size = sections[s->sh_link].sh_size;
		own.symbols = (const void *)(file + s->sh_offset);
		own.symbol_count = s->sh_size / sizeof(ElfW(Sym));
		return;
	}
}

void phx_crash_symbols_load(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *file = MAP_FAILED;
	struct stat st;

	(void)dl_iterate_phdr(take_first, NULL); // its result is ours
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	(void)close(fd); // only read
	if (file != MAP_FAILED)
		find_table(file, (size_t)st.st_size);
}

int phx_crash_is_ours(uintptr_t address, uintptr_t *out_offset)
{
	if (address < own.start || address >= own.end)
		return 0;
	*out_offset = address - own.base;
	return 1;
}

const char *phx_crash_symbol(uintptr_t address, size_t *out_offset)
{
	uintptr_t at;

	if (!phx_crash_is_ours(address, &at))
		return NULL;
	for (size_t i = 0; i < own.symbol_count; i++) {
		const ElfW(Sym) *s = &own.symbols[i];

		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || at < s->st_value ||
			at - s->st_value >= s->st_size || s->st_name >= own.names_size)
			continue;
		*out_offset = at - s->st_value;
		return own.names + s->st_name;
	}
	return NULL;
}

const char *phx_crash_build_id(void)
{
	return own.build_id;
}
