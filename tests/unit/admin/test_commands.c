/* A command passes to the components of a runtime, and its answer says what became of it. */
#include <stdlib.h>
#include <string.h>

#include "admin/client.h"
#include "admin/commands.h"
#include "base/error.h"
#include "mf_test.h"

typedef struct worker {
    mfi_component component;
    const char *name;
    const char *refused;
    mfi_command last;
} worker;

static void command(void *self, const mfi_command *command, mfi_command_seen_fn seen,
                    void *user_data)
{
    worker *at = self;
    if (mfi_command_means(command, at->component.target, at->name)) {
        at->last = *command;
        seen(&(mfi_command_effect){.target = at->component.target,
                                   .worker = at->name,
                                   .setting = "thing",
                                   .from = "a",
                                   .to = command->what == MFI_ADMIN_STATUS ? NULL : "b",
                                   .refused = at->refused},
             user_data);
    }
}

static mf_runtime *make(worker *workers, size_t count)
{
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    for (size_t i = 0; i < count; i++) {
        workers[i].component =
            (mfi_component){.target = "math", .self = &workers[i], .command = command, .config = i};
        mfi_runtime_add_component(runtime, &workers[i].component);
    }
    return runtime;
}

static void destroy(mf_runtime *runtime, worker *workers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mfi_runtime_remove_component(runtime, &workers[i].component);
    }
    mf_runtime_destroy(runtime);
}

static void obey(mf_runtime *runtime, const char *line, mfi_buf *out)
{
    const mfi_admin_asker asker = {.uid = 1, .pid = 2};
    mfi_buf_clear(out);
    mfi_admin_obey(runtime, &asker, line, line != NULL ? strlen(line) : 0, out);
    mf_check(out->size > 0 && out->data[out->size - 1] == '\n');
    mfi_buf_append_byte(out, 0);
}

static void test_answers(void)
{
    worker workers[] = {{.name = "math-0"}, {.name = "math-1", .refused = "not this \"one\""}};
    mf_runtime *runtime = make(workers, 2);
    mfi_buf out;
    mfi_buf_init(&out, MFI_ADMIN_OUT_MAX);
    obey(runtime, "{\"command\":\"circuit\",\"target\":\"math\",\"action\":\"reset\"}", &out);
    mf_check_str((const char *)out.data,
                 "{\"schema\":\"multifrost.admin/1\",\"ok\":true,\"command\":\"circuit\","
                 "\"changed\":1,\"refused\":1,\"workers\":[{\"target\":\"math\","
                 "\"worker\":\"math-0\",\"from\":\"a\",\"to\":\"b\"},{\"target\":\"math\","
                 "\"worker\":\"math-1\",\"from\":\"a\",\"to\":\"b\","
                 "\"refused\":\"not this \\\"one\\\"\"}]}\n");
    mf_check_int(workers[0].last.order, MFI_ORDER_RESET);
    obey(runtime, "{\"command\":\"restart\",\"worker\":\"math-1\"}", &out);
    mf_check_contains((const char *)out.data, "\"ok\":false,\"command\":\"restart\","
                                              "\"error\":\"not this \\\"one\\\"\"");
    obey(runtime, "{\"command\":\"restart\",\"worker\":\"x\",\"target\":\"y\"}", &out);
    mf_check_contains((const char *)out.data,
                      "\"error\":\"this process has no worker 'x' of target 'y'\",\"workers\":[");
    obey(runtime, "nothing", &out);
    mf_check_contains((const char *)out.data, "{\"schema\":\"multifrost.admin/1\",\"ok\":false,"
                                              "\"error\":\"the line is no JSON object");
    obey(runtime, NULL, &out);
    mf_check_contains((const char *)out.data, "a line has at most 4096 bytes");
    mfi_buf_fini(&out);
    destroy(runtime, workers, 2);
}

static void test_counts(void)
{
    mf_runtime *runtime = make(NULL, 0);
    mfi_buf out;
    char *text = NULL;
    size_t size = 0;
    mfi_buf_init(&out, MFI_ADMIN_OUT_MAX);
    obey(runtime, "{\"command\":\"help\"}", &out);
    obey(runtime, "{\"command\":\"explode\"}", &out);
    obey(runtime, "{\"command\":\"drain\"}", &out);
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, NULL),
                 MF_OK);
    mf_check_contains(text, "multifrost_admin_commands_total{command=\"help\",result=\"ok\"} 1\n");
    mf_check_contains(text,
                      "multifrost_admin_commands_total{command=\"unknown\",result=\"error\"} 1\n");
    mf_check_contains(text,
                      "multifrost_admin_commands_total{command=\"drain\",result=\"error\"} 1\n");
    free(text);
    mfi_buf_fini(&out);
    mf_runtime_destroy(runtime);
}

/* However many workers there are, the answer fits, and says how many it is about. */
static void test_many(void)
{
    enum { MANY = 500 };
    static worker workers[MANY];
    mfi_buf out;
    for (size_t i = 0; i < MANY; i++) {
        workers[i].name = "a-worker-with-a-name";
    }
    mf_runtime *runtime = make(workers, MANY);
    mfi_buf_init(&out, MFI_ADMIN_OUT_MAX);
    obey(runtime, "{\"command\":\"circuit\",\"target\":\"math\",\"action\":\"auto\"}", &out);
    mf_check_contains((const char *)out.data, "\"ok\":true");
    mf_check_contains((const char *)out.data, "\"changed\":500,");
    char why[MFI_COMMAND_TEXT_MAX];
    memset(why, '\x01', sizeof why - 1); /* six bytes each in JSON */
    why[sizeof why - 1] = '\0';
    for (size_t i = 0; i < MANY; i++) {
        workers[i].refused = why;
    }
    obey(runtime, "{\"command\":\"circuit\",\"target\":\"math\",\"action\":\"auto\"}", &out);
    mf_check_contains((const char *)out.data, "\"refused\":500,\"workers\":[{\"target\":\"math\"");
    mf_check_contains((const char *)out.data, "\"}]}\n");
    mfi_buf_fini(&out);
    destroy(runtime, workers, MANY);
}

static const mf_test tests[] = {
    {"commands__answers_say_what_was_done", test_answers},
    {"commands__are_counted", test_counts},
    {"commands__many_workers_have_one_answer", test_many},
};
MF_TEST_MAIN(tests)
