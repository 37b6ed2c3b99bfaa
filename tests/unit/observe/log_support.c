/* A logger whose lines are kept: see log_support.h. */
#include "log_support.h"

#include <stdio.h>
#include <string.h>

#include "mf_test.h"

/* "warn drain|Drained math-0|,..." of a line. */
static void keep_line(mf_log_level level, const char *line, size_t length, void *user_data)
{
    log_fixture *at = user_data;
    char word[16] = "", event[64] = "", message[512] = "";
    (void)level;
    (void)length;
    const char *from = strstr(line, "\"level\":\"");
    const char *rest = strstr(line, "\"tid\":");
    rest = rest != NULL ? strpbrk(rest, ",}") : "";
    mf_check_int(sscanf(from != NULL ? from : "",
                        "\"level\":\"%15[a-z]\",\"severity_number\":%*d,\"event\":\"%63[^\"]\","
                        "\"message\":\"%511[^\"]\"",
                        word, event, message),
                 3);
    size_t used = strlen(at->all);
    (void)snprintf(at->all + used, sizeof at->all - used, "%s%s %s|%s|%s",
                   at->lines++ > 0 ? "\n" : "", word, event, message, rest);
}

void log_setup_with(log_fixture *at, mf_log_options options)
{
    mfi_client_options client = {.target = "math", .worker = "math-0"};
    mfi_server_options server = {.worker = "serve"};
    *at = (log_fixture){.lines = 0};
    mf_check_int(mf_logger_create(&at->logger, &options, NULL), MF_OK);
    mf_check_int(mf_log_add_callback(at->logger, keep_line, at, MF_LOG_JSON, NULL), MF_OK);
    mf_check_int(mfi_observer_create(&at->observer, at->logger, NULL, 64, NULL), MF_OK);
    mf_check_int(mfi_target_create_client(&at->client, at->observer, &client, NULL), MF_OK);
    mf_check_int(mfi_target_create_server(&at->server, at->observer, &server, NULL), MF_OK);
}

void log_setup_at(log_fixture *at, mf_log_level level)
{
    mf_log_options options = MF_LOG_OPTIONS_INIT;
    options.level = level;
    log_setup_with(at, options);
}

void log_setup(log_fixture *at)
{
    log_setup_at(at, MF_LOG_DEBUG);
}

void log_teardown(log_fixture *at)
{
    mfi_target_destroy(at->client);
    mfi_target_destroy(at->server);
    mfi_observer_destroy(at->observer);
    mf_logger_destroy(at->logger);
}

/* All that was logged since the last time. */
void check_logged(log_fixture *at, const char *wanted)
{
    mf_check(mf_log_flush(at->logger, MF_TEST_PATIENCE_MS));
    mf_check_str(at->all, wanted);
    at->all[0] = '\0';
    at->lines = 0;
}
