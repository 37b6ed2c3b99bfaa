/* A call as its handler reads it, made by hand from a message. */
#include "core/server/request.h"

#include <string.h>

#include "base/error.h"
#include "mf_test.h"

typedef struct made {
    mfi_buf buf;
    mfi_incoming call;
    mfi_request_trees trees;
    mf_request request;
} made;

static void make(made *at, const mfi_call_fields *fields)
{
    mf_error error = MF_ERROR_INIT;
    mfi_reject why = MFI_REJECT_NONE;
    memset(at, 0, sizeof *at);
    mfi_buf_init(&at->buf, 0);
    mf_check_int(mfi_encode_call(&at->buf, fields, &error), MF_OK);
    mf_check_int(
        mfi_envelope_decode(at->buf.data, at->buf.size, NULL, &at->call.envelope, &why, &error),
        MF_OK);
    mfi_tree_init(&at->trees.args);
    mfi_tree_init(&at->trees.metadata);
    mf_check_int(mfi_tree_decode(&at->trees.args, at->call.envelope.args, &error), MF_OK);
    at->request.trees = &at->trees;
    at->request.call = &at->call;
    at->request.name = "f";
    at->request.deadline_ns = MFI_NEVER;
    mfi_error_clear(&at->request.error);
}

static void made_free(made *at)
{
    mfi_tree_fini(&at->trees.args);
    mfi_tree_fini(&at->trees.metadata);
    mfi_buf_fini(&at->buf);
}

static void test_arguments_are_read_by_type(void)
{
    made at;
    int64_t number = 0;
    const char *text = NULL;
    make(&at, &(mfi_call_fields){
                  .id = "id", .function = {"f", 1}, .args = MF_ARGS(7, "seven"), .timestamp = 1});
    mf_check_int(mf_request_args(&at.request).count, 2);
    mf_check_int(mf_request_unpack(&at.request, &number, &text), MF_OK);
    mf_check_int(number, 7);
    mf_check_str(text, "seven");
    mf_check_int(at.request.error.code, MF_OK);
    mf_check_int(mf_request_unpack(&at.request, &text, &number), MF_ERR_TYPE);
    mf_check_int(at.request.error.code, MF_ERR_TYPE); /* which the answer tells */
    mf_check_str(mf_request_function(&at.request), "f");
    made_free(&at);
}

static void test_metadata_is_a_map_or_nil(void)
{
    made at;
    mf_value metadata = MF_MAP("tenant", "blue");
    make(&at, &(mfi_call_fields){
                  .id = "id", .function = {"f", 1}, .metadata = &metadata, .timestamp = 1});
    const mf_value *tenant = mf_value_find(mf_request_metadata(&at.request), "tenant");
    mf_check(tenant != NULL && tenant->type == MF_TYPE_STR);
    mf_check(mf_value_find(mf_request_metadata(&at.request), "tenant") == tenant); /* kept */
    at.call.envelope.metadata = (mfi_slice){0};
    at.request.metadata_decoded = false;
    mf_check_int(mf_request_metadata(&at.request)->type, MF_TYPE_NIL);
    made_free(&at);
}

static void test_client_name_may_be_absent(void)
{
    made at;
    make(&at, &(mfi_call_fields){.id = "id", .function = {"f", 1}, .timestamp = 1});
    mf_check(mf_request_client_name(&at.request) == NULL);
    made_free(&at);
    make(&at, &(mfi_call_fields){
                  .id = "id", .function = {"f", 1}, .client_name = {"shop", 4}, .timestamp = 1});
    mf_check_str(mf_request_client_name(&at.request), "shop");
    made_free(&at);
}

static void test_deadline_is_what_is_left(void)
{
    mf_request request = {.deadline_ns = MFI_NEVER};
    mf_check_int(mf_request_deadline_ms(&request), MF_TIMEOUT_INFINITE);
    request.deadline_ns = 1; /* long over */
    mf_check_int(mf_request_deadline_ms(&request), 0);
    request.deadline_ns = mfi_monotonic_ns() + 3600 * MFI_NS_PER_S;
    int64_t left = mf_request_deadline_ms(&request);
    mf_check(left > 0 && left <= 3600000);
}

static const mf_test tests[] = {
    {"request__arguments_are_read_by_type", test_arguments_are_read_by_type},
    {"request__metadata_is_a_map_or_nil", test_metadata_is_a_map_or_nil},
    {"request__client_name_may_be_absent", test_client_name_may_be_absent},
    {"request__deadline_is_what_is_left", test_deadline_is_what_is_left},
};

MF_TEST_MAIN(tests)
