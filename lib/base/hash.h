// SPDX-License-Identifier: BSD-3-Clause
// Checksums and hashes: CRC-32C for frames, SipHash-2-4 (128-bit output) for schema
// hashes and for tables keyed by what a peer or application chooses.
#pragma once

#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of len bytes, continuing from crc
// (0 to start). Uses the CPU's instruction where there is one. Any thread.
uint32_t phx_crc32c(uint32_t crc, const void *data, size_t len);
// The same by tables: what CPUs without the instruction get. Any thread.
uint32_t phx_crc32c_table(uint32_t crc, const void *data, size_t len);

struct phx_hash128 {
	uint64_t lo;
	uint64_t hi;
};

// SipHash-2-4 with 128-bit output (Aumasson and Bernstein, 2012; reference vectors
// in tests/unit/lib/base/hash_test.c). key is 16 bytes. Any thread.
struct phx_hash128 phx_siphash128(const uint8_t key[16], const void *data, size_t len);

// A cheap mixer for table lookups of a 64-bit id (splitmix64's finaliser).
static inline uint64_t phx_mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

// Fill with bytes of the kernel's generator. 0 or -errno.
int phx_random_bytes(void *out, size_t len);
