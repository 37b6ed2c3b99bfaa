/* Decodes any bytes: nothing crashes or reads behind the end; the fast decoders agree with the
 * general ones, and the values with msgpack-c; and accepted messages keep their promises. */
#include <stdlib.h>
#include <string.h>

#include <multifrost/json.h>

#include "core/wire/envelope.h"
#include "core/wire/trace_lists.h"
#include "core/wire/tree.h"
#include "paths.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* A field that the envelope gave out is a value that can be read. */
static void read_field(mfi_slice bytes)
{
    mfi_tree tree;
    mfi_tree_init(&tree);
    if (bytes.data != NULL) {
        must(mfi_tree_decode(&tree, bytes, NULL) == MF_OK);
    }
    mfi_tree_fini(&tree);
}

/* What is passed on fits, and passes the next program as it is. */
static void read_lists(const mfi_metadata *metadata)
{
    static const char *const keys[] = {"user", NULL};
    char state[MFI_TRACESTATE_MAX_BYTES], state_again[MFI_TRACESTATE_MAX_BYTES];
    char baggage[MFI_BAGGAGE_MAX_BYTES], baggage_again[MFI_BAGGAGE_MAX_BYTES];
    size_t size = mfi_tracestate_read(metadata->tracestate, state);
    must(size <= sizeof state);
    must(mfi_tracestate_read((mfi_text){state, size}, state_again) == size);
    must(memcmp(state, state_again, size) == 0);
    size = mfi_baggage_read(metadata->baggage, keys, baggage);
    must(size <= sizeof baggage);
    must(mfi_baggage_read((mfi_text){baggage, size}, keys, baggage_again) == size);
    must(memcmp(baggage, baggage_again, size) == 0);
}

static void read_envelope(const uint8_t *data, size_t size)
{
    mfi_envelope envelope;
    mfi_metadata metadata;
    mfi_reject reject = MFI_REJECT_NONE;
    mf_error error = MF_ERROR_INIT;
    mf_status status = mfi_envelope_decode(data, size, NULL, &envelope, &reject, &error);
    must((status == MF_OK) == (reject == MFI_REJECT_NONE));
    must(status != MF_OK || (envelope.well_formed && envelope.type != 0));
    must(status == MF_OK || (error.code == status && error.message[0] != '\0'));
    read_field(envelope.args);
    read_field(envelope.result);
    read_field(envelope.metadata);
    mfi_metadata_read(envelope.metadata, &metadata);
    read_lists(&metadata);
    if (envelope.error.data != NULL) {
        mfi_remote_error_split(envelope.error, &error);
    }
}

/* What was made fit for the wire is sent, and arrives as it was. */
static void send_on(const mf_value *value)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    mf_document *arrived = NULL;
    must(mf_value_encode(value, &bytes, &size, NULL) == MF_OK);
    must(mf_document_decode(bytes, size, &arrived, NULL) == MF_OK);
    must(mf_value_equal(mf_document_root(arrived), value));
    mf_document_destroy(arrived);
    free(bytes);
}

static void read_value(const uint8_t *data, size_t size)
{
    mf_document *document = NULL;
    mf_document *fit = NULL;
    mf_document *read = NULL;
    char *text = NULL;
    size_t length = 0;
    mf_error error = MF_ERROR_INIT;
    if (mf_document_decode(data, size, &document, &error) == MF_OK &&
        mf_value_sanitize(mf_document_root(document), &fit, &error) == MF_OK) {
        send_on(mf_document_root(fit));
    }
    if (document != NULL &&
        mf_value_to_json(mf_document_root(document), &text, &length, &error) == MF_OK) {
        (void)!mf_value_from_json(text, length, &read, &error);
    }
    mf_document_destroy(read);
    mf_document_destroy(fit);
    mf_document_destroy(document);
    free(text);
}

/* JSON that was read is written as JSON that says the same. */
static void read_json(const uint8_t *data, size_t size)
{
    mf_document *document = NULL;
    mf_document *again = NULL;
    char *text = NULL;
    size_t length = 0;
    mf_error error = MF_ERROR_INIT;
    if (mf_value_from_json((const char *)data, size, &document, &error) == MF_OK) {
        must(mf_value_to_json(mf_document_root(document), &text, &length, &error) == MF_OK);
        must(mf_value_from_json(text, length, &again, &error) == MF_OK);
        must(mf_value_equal(mf_document_root(document), mf_document_root(again)));
    }
    mf_document_destroy(again);
    mf_document_destroy(document);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    must(paths_differ(data, size) == NULL);
    read_envelope(data, size);
    read_value(data, size);
    read_json(data, size);
    return 0;
}
