/* Sets, families and their text, for the tests of this room. */
#include "metric_support.h"

#include <stdlib.h>
#include <string.h>

mf_metrics *make_set(void)
{
    mf_metrics *metrics = NULL;
    mf_check_int(mf_metrics_create(&metrics, NULL, NULL), MF_OK);
    return metrics;
}

mf_family *add_family(mf_metrics *metrics, mf_metric_type type, const char *name,
                      const char *const *labels, size_t count, size_t max_series)
{
    mf_family *family = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_metric_options options = MF_METRIC_OPTIONS_INIT;
    options.type = type;
    options.name = name;
    options.help = "a test";
    options.label_names = labels;
    options.label_count = count;
    options.max_series = max_series;
    mf_check_int(mf_metrics_add(metrics, &options, &family, &error), MF_OK);
    mf_check_str(error.message, "");
    return family;
}

char *render_set(mf_metrics *metrics, mf_metrics_format format)
{
    char *text = NULL;
    size_t length = 0;
    mf_check_int(mf_metrics_render(metrics, format, &text, &length, NULL), MF_OK);
    mf_check(text != NULL && strlen(text) == length);
    return text;
}

char *render_family(mf_metrics *metrics, mf_metrics_format format, const char *name)
{
    char *text = render_set(metrics, format);
    char *end = text;
    for (char *line = text; line != NULL && *line != '\0';) {
        char *behind = strchr(line, '\n');
        size_t length = behind != NULL ? (size_t)(behind - line) + 1 : strlen(line);
        const char *at = line;
        if (strncmp(line, "# EOF", 5) != 0 && line[0] == '#') {
            at = strchr(line + 2, ' ') + 1;
        }
        if (strncmp(at, name, strlen(name)) == 0) {
            memmove(end, line, length);
            end += length;
        }
        line = behind != NULL ? behind + 1 : NULL;
    }
    if (end != NULL) {
        *end = '\0';
    }
    return text;
}

uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
