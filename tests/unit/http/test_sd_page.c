/* /sd: the bytes for given names and hosts. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "mf_alloc.h"
#include "page_support.h"

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X256 X64 X64 X64 X64

static void check_names(const char *service, const char *instance, const char *host,
                        const char *body)
{
    mf_probe probe = {.struct_size = sizeof probe,
                      .info = {.service = service, .version = "", .instance = instance}};
    mfi_page_request request = plain_request(&probe);
    request.host = host;
    check_page(mfi_page_sd, &request, 200, "application/json", body);
}

static void test_the_endpoint_is_named_as_the_client_does(void)
{
    check_names("shop", "a:1", "10.0.0.1:9464",
                "[{\"targets\":[\"10.0.0.1:9464\"],\"labels\":{\"service\":\"shop\","
                "\"instance\":\"a:1\",\"role\":\"program\"}}]");
    check_names("shop", "a:1", "[::1]:9464",
                "[{\"targets\":[\"[::1]:9464\"],\"labels\":{\"service\":\"shop\","
                "\"instance\":\"a:1\",\"role\":\"program\"}}]");
}

static void test_labels_without_a_value_are_left_out(void)
{
    check_names("shop", "", "h:1",
                "[{\"targets\":[\"h:1\"],\"labels\":{\"service\":\"shop\",\"role\":\"program\"}}]");
    check_names(NULL, NULL, "h:1", "[{\"targets\":[\"h:1\"],\"labels\":{\"role\":\"program\"}}]");
}

static void test_labels_are_cut_and_cleaned(void)
{
    check_names(X256 "y", "\"\xff\"", "h:1",
                "[{\"targets\":[\"h:1\"],\"labels\":{\"service\":\"" X256
                "\",\"instance\":\"\\\"\xef\xbf\xbd\\\"\",\"role\":\"program\"}}]");
}

static void test_a_request_without_a_host_is_refused(void)
{
    const mf_probe probe = {.struct_size = sizeof probe, .info = {.service = "shop"}};
    mfi_page_request request = plain_request(&probe);
    check_page(mfi_page_sd, &request, 400, "application/json",
               "{\"error\":{\"code\":400,\"status\":\"bad_request\",\"message\":\"/sd names this "
               "endpoint as the Host header does, and there is none\"}}\n");
}

static void test_without_memory(void)
{
    const mf_probe probe = {.struct_size = sizeof probe,
                            .info = {.service = "shop", .instance = "\xff"}};
    mfi_page_request request = plain_request(&probe);
    cJSON_Hooks hooks = {.malloc_fn = mf_alloc_malloc, .free_fn = free};
    bool reached = true;
    long failed = 0;
    request.host = "h:1";
    cJSON_InitHooks(&hooks);
    for (long n = 0; reached; n++) {
        mfi_page page = {.code = 200, .age_ms = -1};
        mf_alloc_fail_at(n);
        mfi_page_sd(&request, &page);
        reached = mf_alloc_stop();
        bool whole = page.body != NULL;
        failed += !whole;
        char *text = body_of(&page);
        if (whole) { /* never a page with a part left out */
            mf_check_str(text, "[{\"targets\":[\"h:1\"],\"labels\":{\"service\":\"shop\","
                               "\"instance\":\"\xef\xbf\xbd\",\"role\":\"program\"}}]");
        }
        free(text);
    }
    cJSON_InitHooks(NULL);
    mf_check(failed > 0);
}

static const mf_test tests[] = {
    {"sd_page__the_endpoint_is_named_as_the_client_does",
     test_the_endpoint_is_named_as_the_client_does},
    {"sd_page__labels_without_a_value_are_left_out", test_labels_without_a_value_are_left_out},
    {"sd_page__labels_are_cut_and_cleaned", test_labels_are_cut_and_cleaned},
    {"sd_page__a_request_without_a_host_is_refused", test_a_request_without_a_host_is_refused},
    {"sd_page__without_memory", test_without_memory},
};
MF_TEST_MAIN(tests)
