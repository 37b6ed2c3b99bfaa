/* One change of the registry's file: what it keeps, what it takes out, and what it waits for. */
#include "core/discovery/change.h"
#include "registry_support.h"

#define FOREIGN "\"other\": {\"port\": 7, \"pid\": 1, \"n\": 9007199254740993}"

static mf_status change(mf_registry *registry, const char *id, uint16_t port, mf_error *error)
{
    mfi_registry_dir dir;
    mfi_registry_change wanted = {.id = id, .port = port};
    mf_check(registry != NULL);
    mf_check_int(mfi_registry_dir_make(&dir, folder, false, NULL), MF_OK);
    mf_status status = mfi_registry_change_file(&dir, &wanted, 100, error);
    mfi_registry_dir_close(&dir);
    mf_check(!exists("registry.lock") && !exists("services.lock"));
    return status;
}

static void test_others_keep_their_entries(void)
{
    mf_registry *registry = open_registry(0);
    write_text("services.json", "{" FOREIGN "}");
    mf_check_int(change(registry, "a", 1, NULL), MF_OK);
    mf_check_contains(read_registry(), FOREIGN);
    mf_check_contains(read_registry(), "\"a\"");
    mf_check_int(change(registry, "a", 0, NULL), MF_OK);
    mf_check_contains(read_registry(), FOREIGN);
    mf_check(strstr(read_registry(), "\"a\"") == NULL);
    mf_registry_destroy(registry);
}

static void test_a_name_of_a_living_process_is_taken(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_registry *registry = open_registry(0);
    write_text("services.json", "{" FOREIGN "}");
    mf_check_int(change(registry, "other", 1, &error), MF_ERR_EXISTS);
    mf_check_contains(error.message, "service 'other' is registered by process 1 on port 7");
    mf_check_str(read_registry(), "{" FOREIGN "}");
    mf_registry_destroy(registry);
}

static void test_entries_of_the_dead_are_taken_out(void)
{
    char text[64];
    mf_registry *registry = open_registry(0);
    (void)snprintf(text, sizeof text, "{\"gone\": {\"port\": 7, \"pid\": %d}}", dead_pid());
    write_text("services.json", text);
    mf_check_int(change(registry, "a", 1, NULL), MF_OK);
    mf_check(strstr(read_registry(), "gone") == NULL);
    mf_check_int(change(registry, "a", 0, NULL), MF_OK);
    mf_registry_destroy(registry);
}

static void test_a_cut_file_is_not_written_over(void)
{
    static const char cut[] = "{\"other\": {\"po";
    mf_registry *registry = open_registry(0);
    write_text("services.json", cut);
    mf_check_int(change(registry, "a", 1, NULL), MF_ERR_PROTOCOL);
    mf_check_str(read_registry(), cut);
    write_text("services.json", ""); /* and stays so: nobody writes */
    mf_check_int(change(registry, "a", 1, NULL), MF_OK);
    mf_check_contains(read_registry(), "\"a\"");
    mf_check_int(change(registry, "a", 0, NULL), MF_OK);
    mf_registry_destroy(registry);
}

static const mf_test tests[] = {
    {"change__others_keep_their_entries", test_others_keep_their_entries},
    {"change__a_name_of_a_living_process_is_taken", test_a_name_of_a_living_process_is_taken},
    {"change__entries_of_the_dead_are_taken_out", test_entries_of_the_dead_are_taken_out},
    {"change__a_cut_file_is_not_written_over", test_a_cut_file_is_not_written_over},
};

MF_TEST_MAIN(tests)
