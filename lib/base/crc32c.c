// SPDX-License-Identifier: BSD-3-Clause
// CRC-32C: the CPU's instruction where it has one, else eight tables ("slicing by 8",
// Kounavis and Berry, 2008). Works with hash.h.
#include "lib/base/hash.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"

#include <stdbool.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define CRC_POLY   UINT32_C(0x82f63b78) // Castagnoli, bit-reflected
#define CRC_STREAM 1024			// bytes of each of three interleaved streams

static uint32_t slice[8][256];
// shift[b][x]: the register x << 8b after CRC_STREAM zero bytes; the operation is linear.
static uint32_t shift[4][256];

static uint32_t multiply_zeros(uint32_t crc, size_t len)
{
	for (size_t i = 0; i < len; i++)
		crc = slice[0][crc & 255] ^ (crc >> 8);
	return crc;
}

static __attribute__((constructor)) void crc_tables_init(void)
{
	uint32_t bit[32];

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (crc & 1 ? CRC_POLY : 0);
		slice[0][i] = crc;
	}
	for (int t = 1; t < 8; t++)
		for (int i = 0; i < 256; i++)
			slice[t][i] = (slice[t - 1][i] >> 8) ^ slice[0][slice[t - 1][i] & 255];
	for (int b = 0; b < 32; b++)
		bit[b] = multiply_zeros(UINT32_C(1) << b, CRC_STREAM);
	for (int t = 0; t < 4; t++)
		for (uint32_t i = 0; i < 256; i++)
			for (int b = 0; b < 8; b++)
				if (i & (UINT32_C(1) << b))
					shift[t][i] ^= bit[8 * t + b];
}

static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v = phx_le64_load(p) ^ crc;

		crc = slice[7][v & 255] ^ slice[6][(v >> 8) & 255] ^ slice[5][(v >> 16) & 255] ^
		      slice[4][(v >> 24) & 255] ^ slice[3][(v >> 32) & 255] ^
		      slice[2][(v >> 40) & 255] ^ slice[1][(v >> 48) & 255] ^ slice[0][v >> 56];
	}
	for (; len > 0; p++, len--)
		crc = slice[0][(crc ^ *p) & 255] ^ (crc >> 8);
	return crc;
}

#if defined(__x86_64__)
#define CRC_TARGET	__attribute__((target("sse4.2")))
#define crc_step8(c, v) ((uint32_t)__builtin_ia32_crc32di((c), (v)))
#define crc_step1(c, v) __builtin_ia32_crc32qi((c), (v))

static bool crc_have_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__)
#define CRC_TARGET	__attribute__((target("+crc")))
#define crc_step8(c, v) __builtin_aarch64_crc32cx((c), (v))
#define crc_step1(c, v) __builtin_aarch64_crc32cb((c), (v))

static bool crc_have_instruction(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#endif

#if defined(CRC_TARGET)
static inline uint32_t crc_shift(uint32_t crc)
{
	return shift[0][crc & 255] ^ shift[1][(crc >> 8) & 255] ^ shift[2][(crc >> 16) & 255] ^
	       shift[3][crc >> 24];
}

// The instruction takes three cycles and starts one a cycle, so three independent
// streams keep it busy; their results are joined by crc_shift().
CRC_TARGET static uint32_t crc_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len >= 3 * CRC_STREAM) {
		uint32_t b = 0, c = 0;

		for (size_t i = 0; i < CRC_STREAM; i += 8) {
			crc = crc_step8(crc, phx_le64_load(p + i));
			b = crc_step8(b, phx_le64_load(p + CRC_STREAM + i));
			c = crc_step8(c, phx_le64_load(p + 2 * CRC_STREAM + i));
		}
		crc = crc_shift(crc_shift(crc) ^ b) ^ c;
		p += 3 * CRC_STREAM;
		len -= 3 * CRC_STREAM;
	}
	for (; len >= 8; p += 8, len -= 8)
		crc = crc_step8(crc, phx_le64_load(p));
	for (; len > 0; p++, len--)
		crc = crc_step1(crc, *p);
	return crc;
}
#endif

uint32_t phx_crc32c_table(uint32_t crc, const void *data, size_t len)
{
	return ~crc_table(~crc, data, len);
}

uint32_t phx_crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(CRC_TARGET)
	if (phx_likely(crc_have_instruction()))
		return ~crc_instruction(~crc, data, len);
#endif
	return phx_crc32c_table(crc, data, len);
}
