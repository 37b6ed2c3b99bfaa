/* What a worker printed: cut into lines, shown to the program and to the log. */
#include "core/client/output.h"

#include <stdio.h>
#include <string.h>

#include "client_rig.h"

typedef struct lines {
    char text[256];
} lines;

static void keep_line(const char *line, size_t length, bool is_stderr, void *user_data)
{
    lines *kept = user_data;
    size_t used = strlen(kept->text);
    (void)snprintf(kept->text + used, sizeof kept->text - used, "%s[%.*s]", is_stderr ? "!" : "",
                   (int)length, line);
}

static void init(client_rig *rig, lines *kept)
{
    mf_parent_options options;
    memset(kept, 0, sizeof *kept);
    rig_options(&options);
    options.on_output = keep_line;
    options.user_data = kept;
    rig_init(rig, &options, true);
}

typedef struct printed {
    client_rig *rig;
    bool is_stderr;
    const char *text;
} printed;

static void show_on_engine(void *data)
{
    const printed *at = data;
    mfi_output_show(&at->rig->parent->state, at->is_stderr, at->text, strlen(at->text));
}

static void show(client_rig *rig, bool is_stderr, const char *text)
{
    printed at = {.rig = rig, .is_stderr = is_stderr, .text = text};
    mfi_loop_call(rig->runtime->loop, show_on_engine, &at);
}

/* Empty lines are none, and the last one needs no end. */
static void test_lines(void)
{
    client_rig rig;
    lines kept;
    init(&rig, &kept);
    show(&rig, false, "one\n\ntwo\nthree");
    mf_check_str(kept.text, "[one][two][three]");
    kept.text[0] = '\0';
    show(&rig, true, "\n");
    show(&rig, true, "");
    mf_check_str(kept.text, "");
    show(&rig, true, "wrong\n");
    show(&rig, false, "right\n");
    mf_check_str(kept.text, "![wrong][right]");
    rig_fini(&rig);
}

/* Each line is a record of its own, with or without a callback. */
static void test_log(void)
{
    client_rig rig;
    char path[512];
    char text[16384] = "";
    mf_parent_options options;
    (void)snprintf(path, sizeof path, "%s/output.log", mf_test_temp_dir());
    rig_options(&options);
    rig_init(&rig, &options, true);
    mf_check_int(mf_log_add_file(mf_runtime_logger(rig.runtime), path, MF_LOG_JSON, NULL), MF_OK);
    show(&rig, false, "first line\nsecond line\n");
    show(&rig, true, "third line");
    rig_fini(&rig); /* all is written */
    FILE *file = fopen(path, "re");
    mf_check(file != NULL);
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        (void)fclose(file);
    }
    int records = 0;
    for (const char *at = text; (at = strstr(at, "worker_output")) != NULL; at++) {
        records++;
    }
    mf_check_int(records, 3);
    mf_check_contains(text, "first line");
    mf_check_contains(text, "second line");
    mf_check_contains(text, "third line");
}

static const mf_test tests[] = {
    {"output__is_cut_into_lines", test_lines},
    {"output__each_line_is_a_record", test_log},
};
MF_TEST_MAIN(tests)
