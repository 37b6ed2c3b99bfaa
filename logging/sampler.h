/* Keeps some records where there are many of one kind: of each event and function, the first few
 * within a second and then every Nth, as Uber's zap does. Lock-free. The producer decides before it
 * builds the record. */
#ifndef MFI_LOGGING_SAMPLER_H
#define MFI_LOGGING_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mfi_sampler mfi_sampler;

/* Keeps `first` records of a kind in a second, then every `thereafter`th; 0: no further ones. NULL
 * without memory. */
mfi_sampler *mfi_sampler_create(uint32_t first, uint32_t thereafter);
void mfi_sampler_destroy(mfi_sampler *sampler);

/* A number that stands for a text in a key. */
uint64_t mfi_sampler_key(const char *text, size_t length);
/* Whether one more record of this kind is kept. now_ns: monotonic; a slightly old time is harmless.
 */
bool mfi_sampler_takes(mfi_sampler *sampler, uint64_t key, uint64_t now_ns);
/* Number of records left out since the start. */
uint64_t mfi_sampler_left_out(const mfi_sampler *sampler);

#endif
