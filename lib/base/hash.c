// SPDX-License-Identifier: BSD-3-Clause
// SipHash-2-4 with 128-bit output and the kernel's random bytes. Works with hash.h.
#include "lib/base/hash.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <sys/random.h>

static inline uint64_t rotl(uint64_t x, unsigned n)
{
	return (x << n) | (x >> (64 - n));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

struct phx_hash128 phx_siphash128(const uint8_t key[16], const void *data, size_t len)
{
	uint64_t k0 = phx_le64_load(key), k1 = phx_le64_load(key + 8);
	uint64_t v[4] = {
		k0 ^ UINT64_C(0x736f6d6570736575),
		k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee, // 0xee: 128-bit output
		k0 ^ UINT64_C(0x6c7967656e657261),
		k1 ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *p = data;
	uint64_t last = (uint64_t)(len & 255) << 56;
	struct phx_hash128 out;
	size_t rest = len;

	for (; rest >= 8; p += 8, rest -= 8) {
		uint64_t m = phx_le64_load(p);

		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < rest; i++)
		last |= (uint64_t)p[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;

	v[2] ^= 0xee;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	out.lo = v[0] ^ v[1] ^ v[2] ^ v[3];
	v[1] ^= 0xdd;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	out.hi = v[0] ^ v[1] ^ v[2] ^ v[3];
	return out;
}

int phx_random_bytes(void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
