/* The registry's file: its entries as text and as services, and the texts that are made of them. */
#include "core/discovery/file.h"

#include "core/discovery/own.h"
#include "registry_support.h"

/* A fresh folder with that file in it. */
static void open_dir(mfi_registry_dir *dir, const char *text)
{
    mf_registry_destroy(open_registry(0)); /* for the folder's name */
    write_text(MFI_REGISTRY_FILE, text);
    mf_check_int(mfi_registry_dir_open(dir, folder, NULL), MF_OK);
}

static void load(mfi_registry_file *file, mfi_registry_dir *dir, const char *text)
{
    mf_error error = MF_ERROR_INIT;
    open_dir(dir, text);
    mf_check_int(mfi_registry_file_load(file, dir, &error), MF_OK);
    mf_check_str(error.message, "");
}

static void unload(mfi_registry_file *file, mfi_registry_dir *dir)
{
    mfi_registry_file_unload(file);
    mf_check(file->text == NULL && !file->exists);
    mfi_registry_dir_close(dir);
}

/* ---- Names ---- */

static void test_names_are_short_utf8_without_control_characters(void)
{
    char text[MF_SERVICE_ID_MAX + 1];
    memset(text, 'x', sizeof text);
    text[MF_SERVICE_ID_MAX] = '\0';
    mf_check(!mfi_service_id_valid(text));
    mf_check(mfi_service_id_valid(text + 1));
    mf_check(mfi_service_id_valid("gr\xc3\xbc\xc3\x9f"
                                  "e \"/\\"));
    mf_check(mfi_service_id_valid("\xc2\xa0")); /* the first behind C1 */
    mf_check(!mfi_service_id_valid("\xc2\x9f"));
    mf_check(!mfi_service_id_valid("a\x1f"));
    mf_check(!mfi_service_id_valid("a\x7f"));
    mf_check(!mfi_service_id_valid("\xc3"));
    mf_check(!mfi_service_id_valid(""));
    mf_check(!mfi_service_id_valid(NULL));
}

/* ---- Reading ---- */

static void check_next(mfi_registry_file *file, const char *text, const char *id, bool is_service)
{
    mfi_registry_entry entry;
    mf_check(mfi_registry_file_next(file, &entry));
    mf_check_int(entry.length, strlen(text));
    mf_check(strncmp(entry.text, text, entry.length) == 0);
    mf_check_str(entry.id, id);
    mf_check_int(entry.is_service, is_service);
}

static void check_end(mfi_registry_file *file)
{
    mfi_registry_entry entry;
    mf_check(!mfi_registry_file_next(file, &entry));
}

static void test_entries_come_in_their_order(void)
{
    mfi_registry_dir dir;
    mfi_registry_file file;
    load(
        &file, &dir,
        " {\"b\" : {\"pid\":1, \"port\":2},\n\t\"a\":[1, 2.50],\"\":{\"port\":1,\"pid\":1},\r\n"
        "\"x\\u0000y\":{\"port\":1,\"pid\":1},\"\\u00fc\":null , \"b\":{\"port\":3,\"pid\":4} }\n");
    check_next(&file, "\"b\" : {\"pid\":1, \"port\":2}", "b", true);
    check_next(&file, "\"a\":[1, 2.50]", "a", false);
    check_next(&file, "\"\":{\"port\":1,\"pid\":1}", "", false);
    check_next(&file, "\"x\\u0000y\":{\"port\":1,\"pid\":1}", "", false);
    check_next(&file, "\"\\u00fc\":null", "\xc3\xbc", false);
    check_next(&file, "\"b\":{\"port\":3,\"pid\":4}", "b", true);
    check_end(&file);
    check_end(&file);
    unload(&file, &dir);
}

static void test_nothing_is_like_an_empty_object(void)
{
    mfi_registry_dir dir;
    mfi_registry_file file;
    load(&file, &dir, "{ }");
    mf_check(file.exists);
    check_end(&file);
    mfi_registry_file_unload(&file);
    mf_check_int(unlink(path_of(MFI_REGISTRY_FILE)), 0);
    mf_check_int(mfi_registry_file_load(&file, &dir, NULL), MF_OK);
    mf_check(!file.exists);
    check_end(&file);
    unload(&file, &dir);
}

static void read_one(mfi_registry_entry *ret_entry, const char *text)
{
    mfi_registry_dir dir;
    mfi_registry_file file;
    load(&file, &dir, text);
    mf_check(mfi_registry_file_next(&file, ret_entry));
    ret_entry->text = NULL; /* it was the file's */
    unload(&file, &dir);
}

static void test_fields_have_the_names_of_all_languages(void)
{
    mfi_registry_entry entry;
    read_one(&entry, "{\"a\":{\"port\":5501,\"pid\":77,\"started\":\"s\",\"start_time\":\"t\","
                     "\"process_start\":\"mark\"}}");
    mf_check(entry.is_service);
    mf_check_str(entry.service.id, "a");
    mf_check_int(entry.service.port, 5501);
    mf_check_int(entry.service.pid, 77);
    mf_check_str(entry.service.started, "s");
    mf_check_str(entry.mark, "mark");
    read_one(&entry, "{\"a\":{\"port\":1.0,\"pid\":77,\"start_time\":\"t\"}}");
    mf_check(entry.is_service);
    mf_check_str(entry.service.started, "t"); /* Go's word for it */
    mf_check_str(entry.mark, "");
    read_one(&entry, "{\"a\":{\"port\":1,\"pid\":77,\"started\":5}}");
    mf_check(entry.is_service);
    mf_check_str(entry.service.started, "");
}

static void test_a_service_has_a_port_and_a_pid(void)
{
    static const char *const values[] = {
        "{\"port\":0,\"pid\":1}",     "{\"port\":65536,\"pid\":1}",      "{\"port\":1.5,\"pid\":1}",
        "{\"port\":\"1\",\"pid\":1}", "{\"port\":-1,\"pid\":1}",         "{\"pid\":1}",
        "{\"port\":1,\"pid\":0}",     "{\"port\":1,\"pid\":2147483648}", "{\"port\":1}",
        "{\"Port\":1,\"pid\":1}"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[64];
        mfi_registry_entry entry;
        (void)snprintf(text, sizeof text, "{\"a\":%s}", values[i]);
        read_one(&entry, text);
        mf_check(!entry.is_service);
        mf_check(!mfi_registry_entry_alive(&entry));
    }
    mfi_registry_entry most;
    read_one(&most, "{\"a\":{\"port\":65535,\"pid\":2147483647}}");
    mf_check(most.is_service);
}

static void test_an_entry_lives_as_long_as_its_process(void)
{
    pid_t other = start_sleeper();
    mfi_registry_entry entry = {.is_service = true, .service = {.pid = other}};
    mf_check(mfi_registry_entry_alive(&entry));
    mf_check(entry.service.alive);
    mfi_process_mark(other, entry.mark);
    mf_check(mfi_registry_entry_alive(&entry));
    entry.mark[strlen(entry.mark) - 1] ^= 1; /* of another process */
    mf_check(!mfi_registry_entry_alive(&entry));
    mf_check(!entry.service.alive);
    entry.mark[0] = '\0';
    end_process(other);
    mf_check(!mfi_registry_entry_alive(&entry));
}

static void test_an_entry_with_our_pid_lives_if_we_made_it(void)
{
    mfi_registry_entry entry = {.is_service = true,
                                .service = {.pid = getpid(), .port = 5501, .id = "a"}};
    mfi_process_mark(getpid(), entry.mark);
    mf_check(!mfi_registry_entry_alive(&entry));
    mf_check_int(mfi_registry_own_add("here", "a", 5501, NULL), MF_OK);
    mf_check(mfi_registry_entry_alive(&entry));
    entry.mark[0] = '\0'; /* Go drops the mark when it writes */
    mf_check(mfi_registry_entry_alive(&entry));
    entry.service.port = 5502;
    mf_check(!mfi_registry_entry_alive(&entry));
    mf_check_int(mfi_registry_own_add("here", "a", 5502, NULL), MF_OK); /* instead */
    mf_check(mfi_registry_entry_alive(&entry) && !mfi_registry_own_has("a", 5501));
    mfi_registry_own_remove("there", "a");
    mf_check(mfi_registry_entry_alive(&entry));
    mfi_registry_own_remove("here", "a");
    mf_check(!mfi_registry_entry_alive(&entry));
}

static void check_refused(mf_status wanted, const mfi_registry_dir *dir, const char *message)
{
    mfi_registry_file file;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_registry_file_load(&file, dir, &error), wanted);
    mf_check_contains(error.message, message);
    mf_check_contains(error.message, path_of(MFI_REGISTRY_FILE));
    mf_check(file.text == NULL && !file.exists);
}

static void test_what_is_no_registry_is_refused(void)
{
    mfi_registry_dir dir;
    open_dir(&dir, "{\"a\":1");
    check_refused(MF_ERR_PROTOCOL, &dir, "it ends too early at byte 6 of 6");
    write_file(MFI_REGISTRY_FILE, "{\"a\":\0}", 7);
    check_refused(MF_ERR_PROTOCOL, &dir, "unexpected text at byte 5 of 7");
    write_text(MFI_REGISTRY_FILE, "{\"a\":1,}");
    check_refused(MF_ERR_PROTOCOL, &dir, "unexpected text at byte 7 of 8");
    mf_check_int(unlink(path_of(MFI_REGISTRY_FILE)), 0);
    mf_check_int(mkfifo(path_of(MFI_REGISTRY_FILE), 0600), 0);
    check_refused(MF_ERR_IO, &dir, "is not a file"); /* and is not waited for */
    mf_check_int(unlink(path_of(MFI_REGISTRY_FILE)), 0);
    mf_check_int(mkdir(path_of(MFI_REGISTRY_FILE), 0700), 0);
    check_refused(MF_ERR_IO, &dir, "is not a file");
    mfi_registry_dir_close(&dir);
}

static void test_every_writer_leaves_another_file(void)
{
    mfi_registry_dir dir;
    mfi_registry_file file;
    load(&file, &dir, "{}");
    mf_check(mfi_registry_file_current(&file, &dir));
    write_text("new", "{}");
    mf_check_int(rename(path_of("new"), path_of(MFI_REGISTRY_FILE)), 0);
    mf_check(!mfi_registry_file_current(&file, &dir)); /* moved to its name */
    mfi_registry_file_unload(&file);
    mf_check_int(mfi_registry_file_load(&file, &dir, NULL), MF_OK);
    make_older(MFI_REGISTRY_FILE, 5);
    mf_check(!mfi_registry_file_current(&file, &dir)); /* written in place */
    mfi_registry_file_unload(&file);
    mf_check_int(mfi_registry_file_load(&file, &dir, NULL), MF_OK);
    mf_check(mfi_registry_file_current(&file, &dir));
    mf_check_int(unlink(path_of(MFI_REGISTRY_FILE)), 0);
    mf_check(!mfi_registry_file_current(&file, &dir));
    mfi_registry_file_unload(&file);
    mf_check_int(mfi_registry_file_load(&file, &dir, NULL), MF_OK);
    mf_check(mfi_registry_file_current(&file, &dir)); /* absent as before */
    write_text(MFI_REGISTRY_FILE, "{}");
    mf_check(!mfi_registry_file_current(&file, &dir));
    unload(&file, &dir);
}

/* ---- Writing ---- */

static void test_what_is_kept_is_kept_to_the_byte(void)
{
    static const char odd[] = "\"a\" : {\"x\": 1.50, \"y\":\"\\u00e9\"}";
    char text[128];
    mfi_buf made;
    mfi_registry_dir dir;
    mfi_registry_file file;
    mfi_registry_entry entry;
    (void)snprintf(text, sizeof text, "{%s}", odd);
    load(&file, &dir, text);
    mf_check(mfi_registry_file_next(&file, &entry));
    mfi_buf_init(&made, 0);
    mfi_registry_text_begin(&made);
    mfi_registry_text_keep(&made, &entry);
    pid_t other = start_sleeper();
    mfi_registry_text_add(&made, "say \"hi\"", 5501, other);
    mfi_registry_text_end(&made);
    mfi_buf_append_byte(&made, '\0');
    unload(&file, &dir);

    load(&file, &dir, (const char *)made.data);
    check_next(&file, odd, "a", false);
    mf_check(mfi_registry_file_next(&file, &entry));
    mf_check(entry.is_service && mfi_registry_entry_alive(&entry));
    mf_check_str(entry.service.id, "say \"hi\"");
    mf_check_int(entry.service.port, 5501);
    mf_check_int(entry.service.pid, other);
    end_process(other);
    mf_check_int(strlen(entry.service.started), strlen("2024-01-01T00:00:00.000Z"));
    mf_check(entry.mark[0] != '\0');
    check_end(&file);
    unload(&file, &dir);
    mfi_buf_fini(&made);
}

static void test_an_empty_registry_is_an_empty_object(void)
{
    mfi_buf made;
    mfi_buf_init(&made, 0);
    mfi_registry_text_begin(&made);
    mfi_registry_text_end(&made);
    mfi_buf_append_byte(&made, '\0');
    mf_check_str((const char *)made.data, "{}\n");
    mfi_buf_fini(&made);
}

static const mf_test tests[] = {
    {"file__names_are_short_utf8_without_control_characters",
     test_names_are_short_utf8_without_control_characters},
    {"file__entries_come_in_their_order", test_entries_come_in_their_order},
    {"file__nothing_is_like_an_empty_object", test_nothing_is_like_an_empty_object},
    {"file__fields_have_the_names_of_all_languages", test_fields_have_the_names_of_all_languages},
    {"file__a_service_has_a_port_and_a_pid", test_a_service_has_a_port_and_a_pid},
    {"file__an_entry_lives_as_long_as_its_process", test_an_entry_lives_as_long_as_its_process},
    {"file__an_entry_with_our_pid_lives_if_we_made_it",
     test_an_entry_with_our_pid_lives_if_we_made_it},
    {"file__what_is_no_registry_is_refused", test_what_is_no_registry_is_refused},
    {"file__every_writer_leaves_another_file", test_every_writer_leaves_another_file},
    {"file__what_is_kept_is_kept_to_the_byte", test_what_is_kept_is_kept_to_the_byte},
    {"file__an_empty_registry_is_an_empty_object", test_an_empty_registry_is_an_empty_object},
};

MF_TEST_MAIN(tests)
