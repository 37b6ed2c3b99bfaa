/* Files that a peer leaves blank or cut for a moment, because it writes in place. */
#include "registry_support.h"

#define OTHERS "{\"other\": {\"port\": 7, \"pid\": 1, \"n\": 9007199254740993}}"

static void visit(const mf_service *service, void *user_data)
{
    (void)service;
    (*(int *)user_data)++;
}

/* What a peer does that was in the middle of its writing: runs when the test waits. */
static void write_rest(mf_registry *registry)
{
    (void)registry;
    write_text("services.json", OTHERS);
}

static void vanish(mf_registry *registry)
{
    (void)registry;
    (void)unlink(path_of("services.json"));
}

static const char *const torn[] = {"", " \n", "{", "{\"oth", "{\"other\": {\"port\": 7, \"pid\": "};

/* Whole forms of every reader and writer, begun in the middle of a peer's writing. */
static void check_all(const char *half, mf_registry *registry)
{
    int count = 0;
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    write_text("services.json", half);
    pid_t pid = later(write_rest, registry);
    mf_check_int(mf_registry_find(registry, "other", &found, &error), MF_OK);
    mf_check_str(error.message, "");
    end_process(pid);
    write_text("services.json", half);
    pid = later(write_rest, registry);
    mf_check_int(mf_registry_list(registry, visit, &count, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(count, 1);
    end_process(pid);
    write_text("services.json", half);
    pid = later(write_rest, registry);
    mf_check_int(mf_registry_discover(registry, "other", 60000, &found, &error), MF_OK);
    end_process(pid);
    write_text("services.json", half);
    pid = later(write_rest, registry);
    mf_check_int(mf_registry_register(registry, "mine", 5501, &error), MF_OK);
    mf_check_str(error.message, "");
    end_process(pid);
    mf_check_contains(read_registry(),
                      "\"other\": {\"port\": 7, \"pid\": 1, \"n\": 9007199254740993}");
    mf_check_contains(read_registry(), "\"mine\"");
    write_text("services.json", half);
    pid = later(write_rest, registry);
    mf_check_int(mf_registry_unregister(registry, "mine", &error), MF_OK);
    mf_check_str(error.message, "");
    end_process(pid);
    mf_check_contains(read_registry(), "\"other\"");
}

static void test_is_looked_at_again(void)
{
    mf_registry *registry = open_registry(0);
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        check_all(torn[i], registry);
    }
    mf_registry_destroy(registry);
}

static void test_a_file_that_vanishes_between_two_looks_holds_nothing(void)
{
    mf_registry *registry = open_registry(0);
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    write_text("services.json", "{\"oth");
    pid_t pid = later(vanish, registry);
    mf_check_int(mf_registry_find(registry, "other", &found, &error), MF_ERR_NOT_FOUND);
    end_process(pid);
    write_text("services.json", "{\"oth");
    pid = later(vanish, registry);
    mf_check_int(mf_registry_register(registry, "mine", 5501, &error), MF_OK);
    end_process(pid);
    mf_check_contains(read_registry(), "\"mine\"");
    mf_registry_destroy(registry);
}

static void check_left_blank(const char *blank, mf_registry *registry)
{
    int count = 0;
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    write_text("services.json", blank);
    make_older("services.json", 60); /* no peer is writing it */
    mf_check_int(mf_registry_find(registry, "a", &found, &error), MF_ERR_NOT_FOUND);
    mf_check_contains(error.message, "services.json', which is empty");
    mf_check_int(mf_registry_discover(registry, "a", 1, &found, &error), MF_ERR_NOT_FOUND);
    mf_check_int(mf_registry_list(registry, visit, &count, &error), MF_OK);
    mf_check_int(count, 0);
    mf_check_int(mf_registry_unregister(registry, "a", &error), MF_OK);
    mf_check_str(read_registry(), blank); /* nothing to change */
    mf_check_int(mf_registry_register(registry, "a", 5501, &error), MF_OK);
    mf_check_int(mf_registry_find(registry, "a", &found, &error), MF_OK);
    mf_check_int(mf_registry_unregister(registry, "a", &error), MF_OK);
    mf_check_str(read_registry(), "{}\n");
}

static void test_a_file_left_blank_holds_nothing(void)
{
    mf_registry *registry = open_registry(0);
    check_left_blank("", registry);
    check_left_blank(" \r\n\t", registry);
    mf_registry_destroy(registry);
}

/* The clock was set back: the file's age says nothing, and the bound of the locks decides. */
static void test_a_young_blank_file_is_written_over_after_the_bound(void)
{
    mf_registry *registry = open_registry(100);
    write_text("services.json", "");
    make_older("services.json", -600);
    int64_t begun = mf_test_now_ms();
    mf_check_int(mf_registry_register(registry, "a", 5501, NULL), MF_OK);
    mf_check(mf_test_now_ms() - begun >= 100);
    mf_check_contains(read_registry(), "\"a\"");
    mf_registry_destroy(registry);
}

static void test_a_file_that_stays_cut_is_named_after_the_bound(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_registry *registry = open_registry(100);
    write_text("services.json", "{\"oth");
    make_older("services.json", 60);
    int64_t begun = mf_test_now_ms();
    mf_check_int(mf_registry_register(registry, "a", 5501, &error), MF_ERR_PROTOCOL);
    mf_check_contains(error.message, "services.json' is not a registry: ");
    mf_check(mf_test_now_ms() - begun >= 100);
    begun = mf_test_now_ms();
    mf_check_int(mf_registry_discover(registry, "a", 100, &found, &error), MF_ERR_PROTOCOL);
    mf_check(mf_test_now_ms() - begun >= 100);
    mf_check_str(read_registry(), "{\"oth");
    mf_check(!exists("registry.lock") && !exists("services.lock") && !exists("services.json.lock"));
    mf_registry_destroy(registry);
}

static const mf_test tests[] = {
    {"torn__is_looked_at_again", test_is_looked_at_again},
    {"torn__a_file_that_vanishes_between_two_looks_holds_nothing",
     test_a_file_that_vanishes_between_two_looks_holds_nothing},
    {"torn__a_file_left_blank_holds_nothing", test_a_file_left_blank_holds_nothing},
    {"torn__a_young_blank_file_is_written_over_after_the_bound",
     test_a_young_blank_file_is_written_over_after_the_bound},
    {"torn__a_file_that_stays_cut_is_named_after_the_bound",
     test_a_file_that_stays_cut_is_named_after_the_bound},
};

MF_TEST_MAIN(tests)
