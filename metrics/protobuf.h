/* The exposition in protobuf, which alone has native histograms. An optional part of the build: it
 * needs protobuf-c. */
#ifndef MFI_METRICS_PROTOBUF_H
#define MFI_METRICS_PROTOBUF_H

#include <stdbool.h>

#include "base/buf.h"
#include "metrics/metric_set.h"

typedef struct mfi_protobuf mfi_protobuf;

/* Whether this build has it. */
bool mfi_protobuf_is_built(void);

/* NULL without memory, and in a build without protobuf-c. */
mfi_protobuf *mfi_protobuf_begin(void);
void mfi_protobuf_end(mfi_protobuf *protobuf);

/* Appends a family as one message behind its length. The caller holds the family's mutex. */
void mfi_protobuf_append(mfi_protobuf *protobuf, const mf_family *family, mfi_buf *to);

#endif
