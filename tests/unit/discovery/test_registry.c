/* The registry's public functions, with no other process at the folder. */
#include "registry_support.h"

/* ---- Registering ---- */

static void test_registers_and_finds(void)
{
    struct stat facts;
    char text[64];
    mf_registry *registry = open_registry(0);
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_check_int(mf_registry_find(registry, "math", &found, &error), MF_ERR_NOT_FOUND);
    mf_check(!exists("")); /* looking makes nothing */
    mf_check_int(mf_registry_register(registry, "math", 5501, &error), MF_OK);
    mf_check_int(stat(folder, &facts), 0);
    mf_check_int(facts.st_mode & 07777, 0700);
    mf_check_int(stat(path_of("services.json"), &facts), 0);
    mf_check_int(facts.st_mode & 07777, 0600);
    mf_check_int(mf_registry_find(registry, "math", &found, &error), MF_OK);
    mf_check_str(found.id, "math");
    mf_check_int(found.pid, getpid());
    mf_check_int(found.port, 5501);
    mf_check(found.alive);
    mf_check_int(strlen(found.started), strlen("2026-01-02T03:04:05.678Z"));
    /* All names that any of the languages looks for. */
    (void)snprintf(text, sizeof text, "\"pid\": %d,", (int)getpid());
    mf_check_contains(read_registry(), text);
    mf_check_contains(read_registry(), "\"port\": 5501,");
    (void)snprintf(text, sizeof text, "\"started\": \"%s\"", found.started);
    mf_check_contains(read_registry(), text);
    (void)snprintf(text, sizeof text, "\"start_time\": \"%s\"", found.started);
    mf_check_contains(read_registry(), text);
    mf_check_int(mf_registry_unregister(registry, "math", &error), MF_OK);
    mf_check_str(read_registry(), "{}\n");
    mf_check(!exists("registry.lock") && !exists("services.lock") && !exists("services.json.lock"));
    mf_registry_destroy(registry);
}

static void test_refuses_a_live_name(void)
{
    char text[128];
    mf_registry *registry = open_registry(0);
    mf_error error = MF_ERROR_INIT;
    pid_t other = start_sleeper();
    (void)snprintf(text, sizeof text, "{\"math\": {\"port\": 7001, \"pid\": %d}}", (int)other);
    write_text("services.json", text);
    mf_check_int(mf_registry_register(registry, "math", 5501, &error), MF_ERR_EXISTS);
    (void)snprintf(text, sizeof text,
                   "service 'math' is registered by process %d on port 7001 already", (int)other);
    mf_check_str(error.message, text);
    mf_check_int(mf_registry_unregister(registry, "math", &error), MF_OK); /* not ours: stays */
    mf_check_contains(read_registry(), "7001");
    end_process(other);
    mf_check_int(mf_registry_register(registry, "math", 5501, &error), MF_OK);
    mf_check_int(mf_registry_register(registry, "math", 5502, &error), MF_ERR_EXISTS);
    mf_check(strstr(read_registry(), "7001") == NULL);
    mf_registry_destroy(registry);
}

static void test_writers_take_out_the_dead(void)
{
    char text[512];
    mf_registry *registry = open_registry(0);
    int dead = dead_pid();
    (void)snprintf(text, sizeof text,
                   "{\"a\": {\"port\": 1, \"pid\": %d}, \"b\": {\"port\": 2, \"pid\": 1},"
                   " \"c\": {\"port\": 3, \"pid\": %d}}",
                   dead, dead);
    write_text("services.json", text);
    mf_check_int(mf_registry_register(registry, "d", 4, NULL), MF_OK);
    mf_check(strstr(read_registry(), "\"a\"") == NULL && strstr(read_registry(), "\"c\"") == NULL);
    mf_check_contains(read_registry(), "\"b\": {\"port\": 2, \"pid\": 1},\n  \"d\": {");
    write_text("services.json", text);
    mf_check_int(mf_registry_unregister(registry, "nobody", NULL), MF_OK);
    mf_check_str(read_registry(), "{\n  \"b\": {\"port\": 2, \"pid\": 1}\n}\n");
    mf_registry_destroy(registry);
}

static void test_a_zombie_is_dead(void)
{
    char text[128];
    siginfo_t ended;
    mf_registry *registry = open_registry(0);
    mf_service found = MF_SERVICE_INIT;
    mf_error error = MF_ERROR_INIT;
    pid_t pid = start_sleeper();
    (void)snprintf(text, sizeof text, "{\"math\": {\"port\": 7001, \"pid\": %d}}", (int)pid);
    write_text("services.json", text);
    mf_check_int(mf_registry_find(registry, "math", &found, &error), MF_OK);
    (void)kill(pid, SIGKILL);
    (void)waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT);
    mf_check_int(mf_registry_find(registry, "math", &found, &error), MF_ERR_NOT_FOUND);
    (void)snprintf(text, sizeof text, "service 'math' is gone: its process %d has ended", (int)pid);
    mf_check_str(error.message, text);
    (void)waitpid(pid, NULL, 0);
    mf_registry_destroy(registry);
}

static void test_a_reused_pid_is_not_the_one_that_registered(void)
{
    char text[256];
    mf_registry *registry = open_registry(0);
    mf_service found = MF_SERVICE_INIT;
    /* Our own pid, in an entry of an earlier process that had it. */
    (void)snprintf(text, sizeof text,
                   "{\"math\": {\"port\": 1, \"pid\": %d, \"process_start\": "
                   "\"00000000-0000-0000-0000-000000000000/17\"}}",
                   (int)getpid());
    write_text("services.json", text);
    mf_check_int(mf_registry_find(registry, "math", &found, NULL), MF_ERR_NOT_FOUND);
    mf_check_int(mf_registry_register(registry, "math", 5501, NULL), MF_OK);
    mf_check_int(mf_registry_find(registry, "math", &found, NULL), MF_OK);
    mf_check_int(found.port, 5501);
    mf_check_int(mf_registry_register(registry, "math", 5502, NULL), MF_ERR_EXISTS);
    /* Of what others wrote only the pid is known, and this process did not make the entry. */
    (void)snprintf(text, sizeof text, "{\"math\": {\"port\": 1, \"pid\": %d}}", (int)getpid());
    write_text("services.json", text);
    mf_check_int(mf_registry_find(registry, "math", &found, NULL), MF_ERR_NOT_FOUND);
    mf_check_int(mf_registry_register(registry, "math", 5503, NULL), MF_OK);
    mf_check_int(mf_registry_find(registry, "math", &found, NULL), MF_OK);
    mf_check_int(found.port, 5503);
    mf_registry_destroy(registry);
}

static void test_a_forked_process_leaves_the_entry(void)
{
    int ended = -1;
    mf_registry *registry = open_registry(0);
    mf_check_int(mf_registry_register(registry, "math", 5501, NULL), MF_OK);
    pid_t pid = fork();
    if (pid == 0) {
        _exit((int)mf_registry_unregister(registry, "math", NULL));
    }
    (void)waitpid(pid, &ended, 0);
    mf_check_int(ended, 0);
    mf_check_contains(read_registry(), "\"math\"");
    mf_registry_destroy(registry);
}

/* ---- What others wrote ---- */

static const char *const odd[] = {
    "\"\\u00fcber\": {\"port\": 1, \"pid\": 1, \"big\": 12345678901234567890, \"x\": 1.0e3}",
    "\"number\": 5",
    "\"list\":[ {\"pid\":1} ]",
    "\"no-port\": {\"pid\": 1}",
    "\"no-pid\": {\"port\": 1}",
    "\"port-0\": {\"port\": 0, \"pid\": 1}",
    "\"port-65536\": {\"port\": 65536, \"pid\": 1}",
    "\"half-a-port\": {\"port\": 1.5, \"pid\": 1}",
    "\"pid-text\": {\"port\": 1, \"pid\": \"1\"}",
    "\"pid-0\": {\"port\": 1, \"pid\": 0}",
    "\"huge-pid\": {\"port\": 1, \"pid\": 1e300}",
    "\"math\\u0000\": {\"port\": 1, \"pid\": 1}",
    "\"tab\\t\": {\"port\": 1, \"pid\": 1}",
    "\"\": {\"port\": 1, \"pid\": 1}",
    "\"go\": {\"port\": 2, \"pid\": 1, \"start_time\": \"2026-01-02T03:04:05Z\"}",
};
#define ODD_COUNT (sizeof odd / sizeof odd[0])

static void write_odd(void)
{
    char text[4096] = "\n{";
    for (size_t i = 0; i < ODD_COUNT; i++) {
        size_t length = strlen(text);
        (void)snprintf(text + length, sizeof text - length, "%s%s", i > 0 ? " ,\t" : "", odd[i]);
    }
    (void)strcat(text, "} ");
    write_text("services.json", text);
}

static void test_keeps_what_it_does_not_know(void)
{
    mf_registry *registry = open_registry(0);
    mf_service found = MF_SERVICE_INIT;
    write_odd();
    mf_check_int(mf_registry_find(registry, "math", &found, NULL), MF_ERR_NOT_FOUND);
    mf_check_int(mf_registry_register(registry, "math", 5501, NULL), MF_OK);
    for (size_t i = 0; i < ODD_COUNT; i++) {
        mf_check_contains(read_registry(), odd[i]);
    }
    mf_check_int(mf_registry_find(registry, "math", &found, NULL), MF_OK);
    mf_check_int(mf_registry_unregister(registry, "math", NULL), MF_OK);
    for (size_t i = 0; i < ODD_COUNT; i++) {
        mf_check_contains(read_registry(), odd[i]);
    }
    mf_registry_destroy(registry);
}

static void note(const mf_service *service, void *user_data)
{
    char *seen = user_data;
    size_t length = strlen(seen);
    (void)snprintf(seen + length, 512 - length, "%s:%u:%d:%s ", service->id,
                   (unsigned)service->port, service->alive, service->started);
}

static void test_lists_services_and_passes_over_the_rest(void)
{
    char seen[512] = "";
    char text[256];
    mf_registry *registry = open_registry(0);
    mf_check_int(mf_registry_list(registry, note, seen, NULL), MF_OK); /* no folder yet */
    mf_check_str(seen, "");
    write_odd();
    mf_check_int(mf_registry_list(registry, note, seen, NULL), MF_OK);
    mf_check_str(seen, "über:1:1: go:2:1:2026-01-02T03:04:05Z ");
    (void)snprintf(text, sizeof text, "{\"x\": {\"port\": 9, \"pid\": %d, \"started\": \"s\"}}",
                   dead_pid());
    write_text("services.json", text);
    seen[0] = '\0';
    mf_check_int(mf_registry_list(registry, note, seen, NULL), MF_OK);
    mf_check_str(seen, "x:9:0:s ");
    mf_registry_destroy(registry);
}

static void test_of_two_entries_with_one_name_the_last_counts(void)
{
    mf_registry *registry = open_registry(0);
    mf_service found = MF_SERVICE_INIT;
    write_text("services.json",
               "{\"a\": {\"port\": 1, \"pid\": 1}, \"a\": {\"port\": 2, \"pid\": 1}}");
    mf_check_int(mf_registry_find(registry, "a", &found, NULL), MF_OK);
    mf_check_int(found.port, 2);
    write_text("services.json", "{\"a\": 1, \"a\": {\"port\": 2}}");
    mf_check_int(mf_registry_register(registry, "a", 3, NULL), MF_OK);
    const char *first = strstr(read_registry(), "\"a\"");
    mf_check(first != NULL && strstr(first + 1, "\"a\"") == NULL);
    mf_registry_destroy(registry);
}

/* ---- A broken file ---- */

static void check_port(mf_registry *registry, int port)
{
    mf_error error = MF_ERROR_INIT;
    mf_service found = MF_SERVICE_INIT;
    mf_check_int(mf_registry_find(registry, "math", &found, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_int(found.port, port);
}

static void write_port(const char *name, int port)
{
    char text[128];
    (void)snprintf(text, sizeof text, "{\"math\": {\"port\": %d, \"pid\": 1}}", port);
    write_text(name, text);
}

/* What was read is kept, but no change is missed: neither one in place that leaves size, inode and
 * (within a tick of the clock) time stamp as they were, nor a file that takes the other's place. */
static void test_every_change_is_seen(void)
{
    mf_registry *registry = open_registry(0);
    mf_service found = MF_SERVICE_INIT;
    for (int port = 10000; port < 10300; port++) {
        write_port("services.json", port);
        check_port(registry, port);
        check_port(registry, port);
    }
    make_older("services.json", 60);
    check_port(registry, 10299);
    check_port(registry, 10299);
    write_port("services.json", 20001);
    check_port(registry, 20001);
    make_older("services.json", 60);
    check_port(registry, 20001);
    write_port("next", 20002);
    make_older("next", 60);
    mf_check_int(rename(path_of("next"), path_of("services.json")), 0);
    check_port(registry, 20002);
    mf_check_int(unlink(path_of("services.json")), 0);
    mf_check_int(mf_registry_find(registry, "math", &found, NULL), MF_ERR_NOT_FOUND);
    write_port("services.json", 20003);
    check_port(registry, 20003);
    mf_registry_destroy(registry);
}

static void check_corrupt(const void *data, size_t size, const char *where)
{
    struct stat before;
    struct stat after;
    char *now = malloc(size + 1);
    mf_registry *registry = open_registry(30); /* as long as a cut file is waited for */
    mf_service found = MF_SERVICE_INIT;
    mf_error error = MF_ERROR_INIT;
    write_file("services.json", data, size);
    make_older("services.json", 60); /* no peer is writing it */
    (void)stat(path_of("services.json"), &before);
    mf_check_int(mf_registry_register(registry, "a", 1, &error), MF_ERR_PROTOCOL);
    mf_check_contains(error.message, path_of("services.json"));
    mf_check_contains(error.message, where);
    mf_check_int(mf_registry_unregister(registry, "a", &error), MF_ERR_PROTOCOL);
    mf_check_int(mf_registry_list(registry, note, NULL, &error), MF_ERR_PROTOCOL);
    mf_check_int(mf_registry_find(registry, "a", &found, &error), MF_ERR_PROTOCOL);
    mf_check_int(mf_registry_discover(registry, "a", 1, &found, &error), MF_ERR_PROTOCOL);
    mf_check_contains(error.message, where);
    FILE *file = fopen(path_of("services.json"), "re");
    mf_check(file != NULL && fread(now, 1, size + 1, file) == size && memcmp(now, data, size) == 0);
    (void)fclose(file);
    (void)stat(path_of("services.json"), &after);
    mf_check_int(after.st_ino, before.st_ino);
    mf_check(!exists("registry.lock") && !exists("services.lock") && !exists("services.json.lock"));
    mf_registry_destroy(registry);
    free(now);
}

static void test_a_corrupt_file_is_named_and_left_alone(void)
{
    static const struct {
        const char *text, *where;
    } cases[] = {
        {"{\"a\": {\"po", "unexpected text at byte 8 of 10"},
        {"[]", "unexpected text at byte 0 of 2"},
        {"null", "byte 0 of 4"},
        {"{\"a\": {}", "it ends too early at byte 8 of 8"},
        {"{\"a\": {\"port\": 1} \"b\": 2}", "byte 18 of 25"},
        {"{\"a\" 1}", "byte 5 of 7"},
        {"{\"a\": {\"port\": tru}}", "byte 15 of 20"},
        {"{\"a\": 1,}", "byte 8 of 9"},
        {"{a: 1}", "byte 1 of 6"},
        {"{}{}", "byte 2 of 4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_corrupt(cases[i].text, strlen(cases[i].text), cases[i].where);
    }
    check_corrupt("{\"a\0b\": 1}", 10, "byte 3 of 10");
}

static void test_size_and_depth_are_limited(void)
{
    size_t size = ((size_t)4 << 20) + 1;
    char *text = malloc(size);
    memset(text, ' ', size);
    memcpy(text, "{}", 2);
    check_corrupt(text, size, "goes on after byte 4194304");
    memcpy(text, "{\"a\": ", 6);
    memset(text + 6, '[', 200000);
    check_corrupt(text, 200006, "at byte 1006 of 200006");
    free(text);
}

static void test_no_entry_makes_the_file_too_large(void)
{
    size_t size = ((size_t)4 << 20) - 20;
    char *text = malloc(size);
    mf_registry *registry = open_registry(0);
    mf_error error = MF_ERROR_INIT;
    memset(text, 'x', size);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + size - 2, "\"}", 2);
    write_file("services.json", text, size);
    mf_check_int(mf_registry_register(registry, "b", 1, &error), MF_ERR_IO);
    mf_check_contains(error.message, "would grow beyond 4194304 bytes");
    mf_registry_destroy(registry);
    free(text);
}

/* ---- Arguments ---- */

static void test_refuses_bad_arguments(void)
{
    char longest[MF_SERVICE_ID_MAX + 1];
    static const char *const bad[] = {"", "a\nb", "\x7f", "\xc2\x85", "\xff", "a\xc3", NULL};
    mf_registry *registry = open_registry(0);
    mf_service found = MF_SERVICE_INIT;
    mf_error error = MF_ERROR_INIT;
    memset(longest, 'x', sizeof longest);
    longest[MF_SERVICE_ID_MAX] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_check_int(mf_registry_register(registry, bad[i], 1, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_int(mf_registry_unregister(registry, bad[i], NULL), MF_ERR_INVALID_ARGUMENT);
        mf_check_int(mf_registry_find(registry, bad[i], &found, NULL), MF_ERR_INVALID_ARGUMENT);
        mf_check_int(mf_registry_discover(registry, bad[i], 60000, &found, NULL),
                     MF_ERR_INVALID_ARGUMENT);
    }
    mf_check_int(mf_registry_register(registry, longest, 1, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(mf_registry_register(registry, "a", 0, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check(!exists(""));
    longest[MF_SERVICE_ID_MAX - 1] = '\0';
    mf_check_int(mf_registry_register(registry, longest, 1, &error), MF_OK);
    mf_check_int(mf_registry_find(registry, longest, &found, &error), MF_OK);
    mf_check_str(found.id, longest);
    mf_check_int(mf_registry_register(registry, "quote\" \\ \xc3\xa9", 1, &error), MF_OK);
    mf_check_int(mf_registry_find(registry, "quote\" \\ \xc3\xa9", &found, &error), MF_OK);
    mf_registry_destroy(registry);
}

static const mf_test tests[] = {
    {"registry__registers_and_finds", test_registers_and_finds},
    {"registry__refuses_a_live_name", test_refuses_a_live_name},
    {"registry__writers_take_out_the_dead", test_writers_take_out_the_dead},
    {"registry__a_zombie_is_dead", test_a_zombie_is_dead},
    {"registry__a_reused_pid_is_not_the_one_that_registered",
     test_a_reused_pid_is_not_the_one_that_registered},
    {"registry__a_forked_process_leaves_the_entry", test_a_forked_process_leaves_the_entry},
    {"registry__keeps_what_it_does_not_know", test_keeps_what_it_does_not_know},
    {"registry__lists_services_and_passes_over_the_rest",
     test_lists_services_and_passes_over_the_rest},
    {"registry__of_two_entries_with_one_name_the_last_counts",
     test_of_two_entries_with_one_name_the_last_counts},
    {"registry__every_change_is_seen", test_every_change_is_seen},
    {"registry__a_corrupt_file_is_named_and_left_alone",
     test_a_corrupt_file_is_named_and_left_alone},
    {"registry__size_and_depth_are_limited", test_size_and_depth_are_limited},
    {"registry__no_entry_makes_the_file_too_large", test_no_entry_makes_the_file_too_large},
    {"registry__refuses_bad_arguments", test_refuses_bad_arguments},
};

MF_TEST_MAIN(tests)
