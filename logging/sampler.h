/* Which records are kept where there are many of one kind: of each event and function the first
 * few within a second, then each so-manieth, as Uber's zap does it. Lock-free; decided by the
 * thread that would make the record, before there is any of it. */
#ifndef MFI_LOGGING_SAMPLER_H
#define MFI_LOGGING_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mfi_sampler mfi_sampler;

/* NULL without memory. thereafter 0: none after the first. */
mfi_sampler *mfi_sampler_create(uint32_t first, uint32_t thereafter);
void mfi_sampler_destroy(mfi_sampler *sampler);

/* Part of a key: what stands for a text. */
uint64_t mfi_sampler_key(const char *text, size_t length);
/* Whether one more record of this kind is kept. now_ns is monotonic; a little late is harmless. */
bool mfi_sampler_takes(mfi_sampler *sampler, uint64_t key, uint64_t now_ns);
/* How many were not, since the start. */
uint64_t mfi_sampler_left_out(const mfi_sampler *sampler);

#endif
