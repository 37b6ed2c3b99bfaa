/* A call as its handler sees it.
 *
 * Arguments are decoded before the handler runs. Metadata and the client's name are decoded when
 * the handler asks for them, because most handlers never do. */
#include "core/server/request.h"

#include "base/carried.h"
#include "base/clock.h"
#include "base/str.h"

const char *mf_request_function(const mf_request *request)
{
    return request != NULL ? request->name : NULL;
}

mf_args mf_request_args(const mf_request *request)
{
    if (request == NULL) {
        return MF_NO_ARGS;
    }
    const mf_value *args = &request->trees->args.root;
    if (args->type != MF_TYPE_ARRAY) {
        return MF_NO_ARGS;
    }
    return (mf_args){args->as.items, args->length};
}

const mf_value *mf_request_metadata(mf_request *request)
{
    static const mf_value none;
    if (request == NULL) {
        return &none;
    }
    mfi_tree *tree = &request->trees->metadata;
    if (!request->metadata_decoded) {
        request->metadata_decoded = true;
        tree->root = mf_nil();
        mfi_slice bytes = request->call->envelope.metadata;
        if (bytes.data == NULL || mfi_tree_decode(tree, bytes, NULL) != MF_OK ||
            tree->root.type != MF_TYPE_MAP) {
            tree->root = mf_nil();
        }
    }
    return &tree->root;
}

const mf_context *mf_request_context(const mf_request *request)
{
    return request != NULL ? request->context : NULL;
}

const char *mf_request_tracestate(const mf_request *request)
{
    return request != NULL ? mfi_carried_tracestate(request->context->carried) : NULL;
}

const char *mf_request_baggage(const mf_request *request)
{
    return request != NULL ? mfi_carried_baggage(request->context->carried) : NULL;
}

const char *mf_request_client_name(mf_request *request)
{
    if (request == NULL) {
        return NULL;
    }
    mfi_text name = request->call->envelope.client_name;
    if (name.size == 0) {
        return NULL;
    }
    (void)mfi_str_copy_n(request->client_name, sizeof request->client_name, name.data, name.size);
    return request->client_name;
}

int64_t mf_request_deadline_ms(const mf_request *request)
{
    if (request == NULL) {
        return MF_TIMEOUT_INFINITE;
    }
    uint64_t left = mfi_remaining_ns(request->deadline_ns, mfi_monotonic_ns());
    return left == MFI_NEVER ? MF_TIMEOUT_INFINITE : (int64_t)(left / MFI_NS_PER_MS);
}

mf_status mf_request_read(mf_request *request, const mf_out *outs, uint32_t count)
{
    if (request == NULL) {
        return MF_ERR_INVALID_ARGUMENT;
    }
    mf_args args = mf_request_args(request);
    return mf_values_unpack(args.items, args.count, outs, count, &request->error);
}
