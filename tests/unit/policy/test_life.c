/* The life of a connection: every pair of phase and event is stated once, and possible lives end in
 * the right phase. No process, no clock. With --print the program prints the table of
 * docs/threads.md. */
#include <stdio.h>
#include <string.h>

#include "core/policy/life.h"
#include "mf_test.h"

#define TRANSITIONS_MAX 128
#define BIT(event) (UINT32_C(1) << (event))

static const char *const phases[] = {
#define X(name, text) #name,
    MFI_LIFE_PHASES(X)
#undef X
};
static const char *const phase_texts[] = {
#define X(name, text) text,
    MFI_LIFE_PHASES(X)
#undef X
};
static const char *const events[] = {
#define X(name, text) #name,
    MFI_LIFE_EVENTS(X)
#undef X
};
static const char *const event_texts[] = {
#define X(name, text) text,
    MFI_LIFE_EVENTS(X)
#undef X
};
static const char *const actions[] = {
#define X(name, text) #name,
    MFI_LIFE_ACTIONS(X)
#undef X
};
static const char *const action_texts[] = {
#define X(name, text) text,
    MFI_LIFE_ACTIONS(X)
#undef X
};

static bool walked[TRANSITIONS_MAX];

/* ---- The table itself ---- */

static void test_every_pair_is_stated_once(void)
{
    for (unsigned phase = 0; phase < MFI_LIFE_PHASE_COUNT; phase++) {
        uint32_t stays = mfi_life_stays((mfi_life_phase)phase);
        uint32_t never = mfi_life_never((mfi_life_phase)phase);
        for (unsigned event = 0; event < MFI_LIFE_EVENT_COUNT; event++) {
            int stated = ((stays & BIT(event)) != 0) + ((never & BIT(event)) != 0);
            const mfi_life_transition *at = NULL;
            for (size_t i = 0; (at = mfi_life_transition_at(i)) != NULL; i++) {
                stated += at->phase == phase && at->event == event;
            }
            if (stated != 1) {
                (void)fprintf(stderr, "%s + %s is stated %d times\n", phases[phase], events[event],
                              stated);
            }
            mf_check_int(stated, 1);
        }
    }
}

static void test_what_is_not_a_transition_changes_nothing(void)
{
    for (unsigned phase = 0; phase < MFI_LIFE_PHASE_COUNT; phase++) {
        uint32_t stays = mfi_life_stays((mfi_life_phase)phase);
        uint32_t never = mfi_life_never((mfi_life_phase)phase);
        for (unsigned event = 0; event < MFI_LIFE_EVENT_COUNT; event++) {
            mfi_life_transition got;
            bool may_come = mfi_life_next((mfi_life_phase)phase, (mfi_life_event)event, &got);
            mf_check_int(may_come, (never & BIT(event)) == 0);
            if (((stays | never) & BIT(event)) != 0) {
                mf_check_int(got.next, phase);
                mf_check_int(got.actions, 0);
            }
        }
    }
}

static void test_every_phase_can_be_left_and_reached(void)
{
    bool left[MFI_LIFE_PHASE_COUNT] = {false}, reached[MFI_LIFE_PHASE_COUNT] = {false};
    const mfi_life_transition *at = NULL;
    for (size_t i = 0; (at = mfi_life_transition_at(i)) != NULL; i++) {
        left[at->phase] = left[at->phase] || at->next != at->phase;
        reached[at->next] = reached[at->next] || at->next != at->phase;
    }
    for (unsigned phase = 0; phase < MFI_LIFE_PHASE_COUNT; phase++) {
        mf_check_int(left[phase], phase != MFI_LIFE_STOPPED);
        mf_check_int(reached[phase], phase != MFI_LIFE_NEW);
    }
}

/* A program that stops a parent gets it stopped, whatever it is doing. */
static void test_a_stop_comes_to_its_end_from_everywhere(void)
{
    for (unsigned phase = 0; phase < MFI_LIFE_PHASE_COUNT; phase++) {
        mfi_life_transition at = {.next = (mfi_life_phase)phase};
        static const mfi_life_event then[] = {MFI_LIFE_ON_STOP, MFI_LIFE_ON_ENDED,
                                              MFI_LIFE_ON_PAUSED, MFI_LIFE_ON_CLOSED};
        if (phase == MFI_LIFE_BEGINNING) {
            continue; /* lasts no longer than one function, on the thread that would stop it */
        }
        for (size_t i = 0; i < sizeof then / sizeof then[0]; i++) {
            bool needed = then[i] == MFI_LIFE_ON_STOP ||
                          (then[i] == MFI_LIFE_ON_ENDED ? at.next == MFI_LIFE_STOPPING
                                                        : at.next == MFI_LIFE_CLOSING_STOP);
            if (needed) {
                mf_check(mfi_life_next(at.next, then[i], &at));
            }
        }
        mf_check_int(at.next, MFI_LIFE_STOPPED);
    }
}

/* ---- Lives ---- */

/* One life: events and the phases they lead to, from NEW on; "RESTART>HOLDING!COUNT,HOLD" also
 * states what is to be done. */
static unsigned find(const char *const *words, unsigned count, const char *word, size_t length)
{
    for (unsigned i = 0; i < count; i++) {
        if (strlen(words[i]) == length && strncmp(words[i], word, length) == 0) {
            return i;
        }
    }
    (void)fprintf(stderr, "no such word: %.*s\n", (int)length, word);
    CU_FAIL_FATAL("a word of the test");
    return 0;
}

static void mark(mfi_life_phase phase, mfi_life_event event)
{
    const mfi_life_transition *at = NULL;
    for (size_t i = 0; (at = mfi_life_transition_at(i)) != NULL; i++) {
        if (at->phase == phase && at->event == event) {
            walked[i] = true;
        }
    }
}

static uint32_t read_actions(const char *text, size_t length)
{
    uint32_t bits = 0;
    while (length > 0) {
        size_t word = 0;
        while (word < length && text[word] != ',') {
            word++;
        }
        bits |= BIT(find(actions, MFI_LIFE_ACTION_COUNT, text, word));
        text += word < length ? word + 1 : word;
        length -= word < length ? word + 1 : word;
    }
    return bits;
}

static void live(const char *life)
{
    mfi_life_phase phase = MFI_LIFE_NEW;
    for (const char *at = life; *at != '\0';) {
        size_t length = strcspn(at, " ");
        size_t event_length = strcspn(at, ">");
        const char *to = at + event_length + 1;
        size_t to_length = strcspn(to, " !");
        const char *does = to + to_length + 1;
        mfi_life_event event = (mfi_life_event)find(events, MFI_LIFE_EVENT_COUNT, at, event_length);
        mfi_life_phase wanted = (mfi_life_phase)find(phases, MFI_LIFE_PHASE_COUNT, to, to_length);
        mfi_life_transition got;
        mf_check(mfi_life_next(phase, event, &got));
        if (got.next != wanted) {
            (void)fprintf(stderr, "%s + %s leads to %s, not %s\n", phases[phase], events[event],
                          phases[got.next], phases[wanted]);
        }
        mf_check_int(got.next, wanted);
        if (to[to_length] == '!') {
            mf_check_int(got.actions, read_actions(does, (size_t)(at + length - does)));
        }
        mark(phase, event);
        phase = got.next;
        at += length;
        at += strspn(at, " ");
    }
}

#define STARTS "START>BEGINNING!BEGIN PEER>STARTING!AWAIT READY>RUNNING!SERVE "
#define IS_STOPPED " PAUSED>CLOSING_STOP!SHUT CLOSED>STOPPED!FINISH"
#define IS_GONE " PAUSED>CLOSING_LAST!SHUT CLOSED>GONE!FINISH"
#define COMES_BACK                                                                                 \
    " PAUSED>WAITING!WAIT DUE>BEGINNING!BEGIN PEER>STARTING!AWAIT READY>RUNNING!SERVE"

static void test_a_life_without_trouble(void)
{
    live(STARTS "READY>RUNNING STOP>STOPPING!CANCEL,ASK ENDED>CLOSING_STOP!CLOSE" IS_STOPPED
                " STOP>STOPPED START>STOPPED");
    live("STOP>CLOSING_STOP!CANCEL,CLOSE START>CLOSING_STOP STOP>CLOSING_STOP" IS_STOPPED);
}

static void test_starts_that_fail(void)
{
    live("START>BEGINNING OVER_LAST>CLOSING_LAST!CLOSE" IS_GONE " STOP>STOPPED!FINISH");
    live("START>BEGINNING OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live("START>BEGINNING PEER>STARTING OVER_LAST>CLOSING_LAST!CLOSE" IS_GONE);
    live("START>BEGINNING PEER>STARTING OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live("START>BEGINNING PEER>STARTING ABORT>ABORTING!KILL OVER_LAST>CLOSING_LAST!CLOSE" IS_GONE);
    live("START>BEGINNING ABORT>ABORTING!KILL OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live("START>BEGINNING PORT_BUSY>WAITING!WAIT DUE>BEGINNING PEER>STARTING");
    live("START>BEGINNING PEER>STARTING STOP>STOPPING!CANCEL,END ENDED>CLOSING_STOP" IS_STOPPED);
}

static void test_a_service_that_is_looked_for(void)
{
    live("START>BEGINNING NOT_FOUND>LOOKING DUE>BEGINNING!BEGIN PEER>STARTING");
    live("START>BEGINNING NOT_FOUND>LOOKING RESTART>LOOKING "
         "STOP>CLOSING_STOP!CANCEL,CLOSE" IS_STOPPED);
}

static void test_a_peer_that_is_lost(void)
{
    live(STARTS "OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "OVER_LAST>CLOSING_LAST!CLOSE" IS_GONE
                " RESTART>BEGINNING!COUNT,REOPEN,BEGIN PEER>STARTING");
    live(STARTS "OVER_AGAIN>CLOSING_AGAIN STOP>CLOSING_STOP!CANCEL" IS_STOPPED);
    live(STARTS "OVER_LAST>CLOSING_LAST STOP>CLOSING_STOP!CANCEL" IS_STOPPED);
    live(STARTS
         "OVER_AGAIN>CLOSING_AGAIN PAUSED>WAITING STOP>CLOSING_STOP!CANCEL,CLOSE" IS_STOPPED);
}

static void test_a_peer_that_is_ended(void)
{
    live(STARTS "FROZEN>KILLING!KILL OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "FROZEN>KILLING OVER_LAST>CLOSING_LAST!CLOSE" IS_GONE);
    live(STARTS "OVERDUE>KILLING!KILL OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "CUT_OFF>KILLING!KILL OVER_LAST>CLOSING_LAST!CLOSE" IS_GONE);
    live(STARTS "FROZEN>KILLING RESTART>KILLING_AGAIN!COUNT,HURRY RESTART>KILLING_AGAIN!HURRY "
                "OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "FROZEN>KILLING STOP>STOPPING!CANCEL,END ENDED>CLOSING_STOP" IS_STOPPED);
    live(STARTS "FROZEN>KILLING RESTART>KILLING_AGAIN STOP>STOPPING!CANCEL,END");
}

static void test_a_restart_waits_for_calls(void)
{
    live(STARTS "RESTART>HOLDING!COUNT,HOLD RESTART>HOLDING BARRIER>DRAINING!WATCH "
                "RESTART>DRAINING DRAINED>REPLACING!END RESTART>REPLACING!HURRY "
                "ENDED>CLOSING_AGAIN!CLOSE RESTART>CLOSING_AGAIN!HURRY" COMES_BACK);
    live(STARTS "RESTART>HOLDING DRAINED>REPLACING!END BARRIER>REPLACING ENDED>CLOSING_AGAIN");
    live(STARTS "RESTART>HOLDING OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "RESTART>HOLDING BARRIER>DRAINING OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "RESTART>HOLDING STOP>STOPPING!CANCEL,END BARRIER>STOPPING ENDED>CLOSING_STOP");
    live(STARTS "RESTART>HOLDING BARRIER>DRAINING STOP>STOPPING!CANCEL,END");
    live(STARTS "RESTART>HOLDING DRAINED>REPLACING STOP>STOPPING!CANCEL,END");
}

static void test_a_restart_during_an_end(void)
{
    live(STARTS "OVER_LAST>CLOSING_LAST RESTART>CLOSING_AGAIN!COUNT,HURRY" COMES_BACK);
    live(STARTS "OVER_LAST>CLOSING_LAST PAUSED>CLOSING_LAST!SHUT RESTART>CLOSING_AGAIN "
                "CLOSED>WAITING!REOPEN,WAIT RESTART>WAITING!HURRY DUE>BEGINNING!BEGIN");
    live("START>BEGINNING ABORT>ABORTING RESTART>ABORTING_AGAIN!COUNT,HURRY "
         "RESTART>ABORTING_AGAIN!HURRY OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live("START>BEGINNING ABORT>ABORTING RESTART>ABORTING_AGAIN STOP>STOPPING!CANCEL,END");
    live("START>BEGINNING ABORT>ABORTING STOP>STOPPING!CANCEL,END");
}

static void test_a_service_that_gives_its_name_up(void)
{
    live(STARTS "LEAVES>HOLDING!HOLD BARRIER>DRAINING!WATCH PEER_GONE>DRAINING!SETTLE "
                "DRAINED>REPLACING!END ENDED>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "LEAVES>HOLDING PEER_GONE>HOLDING_GONE PEER_GONE>HOLDING_GONE "
                "BARRIER>DRAINING!WATCH,SETTLE OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "LEAVES>HOLDING PEER_GONE>HOLDING_GONE RESTART>HOLDING_GONE "
                "DRAINED>REPLACING!END ENDED>CLOSING_AGAIN");
    live(STARTS "LEAVES>HOLDING PEER_GONE>HOLDING_GONE STOP>STOPPING!CANCEL,END");
}

static void test_a_service_whose_entry_is_missing(void)
{
    live(STARTS "MISSING>UNLISTED!DEFER READY>UNLISTED STAYS>RUNNING!RESUME "
                "MISSING>UNLISTED!DEFER OVER_AGAIN>CLOSING_AGAIN!CLOSE" COMES_BACK);
    live(STARTS "MISSING>UNLISTED LEAVES>HOLDING!HOLD BARRIER>DRAINING!WATCH");
    live(STARTS "MISSING>UNLISTED RESTART>HOLDING!COUNT,HOLD");
    live(STARTS "MISSING>UNLISTED STOP>STOPPING!CANCEL,ASK ENDED>CLOSING_STOP!CLOSE" IS_STOPPED);
}

/* The lives above use the whole table. */
static void test_every_transition_is_walked(void)
{
    const mfi_life_transition *at = NULL;
    test_a_life_without_trouble();
    test_starts_that_fail();
    test_a_service_that_is_looked_for();
    test_a_peer_that_is_lost();
    test_a_peer_that_is_ended();
    test_a_restart_waits_for_calls();
    test_a_restart_during_an_end();
    test_a_service_that_gives_its_name_up();
    test_a_service_whose_entry_is_missing();
    for (size_t i = 0; (at = mfi_life_transition_at(i)) != NULL; i++) {
        mf_check(i < TRANSITIONS_MAX && walked[i]);
        if (!walked[i]) {
            (void)fprintf(stderr, "no life has %s + %s\n", phases[at->phase], events[at->event]);
        }
    }
}

/* ---- As a document ---- */

static void print_words(const char *title, const char *const *names, const char *const *texts,
                        unsigned count)
{
    (void)printf("| %s | |\n| --- | --- |\n", title);
    for (unsigned i = 0; i < count; i++) {
        (void)printf("| %s | %s |\n", names[i], texts[i]);
    }
    (void)printf("\n");
}

static int print_table(void)
{
    const mfi_life_transition *at = NULL;
    print_words("Phase", phases, phase_texts, MFI_LIFE_PHASE_COUNT);
    print_words("Event", events, event_texts, MFI_LIFE_EVENT_COUNT);
    print_words("Action", actions, action_texts, MFI_LIFE_ACTION_COUNT);
    (void)printf("| Phase | Event | Next phase | Actions |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; (at = mfi_life_transition_at(i)) != NULL; i++) {
        (void)printf("| %s | %s | %s |", phases[at->phase], events[at->event], phases[at->next]);
        for (unsigned bit = 0; bit < MFI_LIFE_ACTION_COUNT; bit++) {
            if ((at->actions & BIT(bit)) != 0) {
                (void)printf(" %s", actions[bit]);
            }
        }
        (void)printf(" |\n");
    }
    return 0;
}

static const mf_test tests[] = {
    {"life__every_pair_is_stated_once", test_every_pair_is_stated_once},
    {"life__what_is_not_a_transition_changes_nothing",
     test_what_is_not_a_transition_changes_nothing},
    {"life__every_phase_can_be_left_and_reached", test_every_phase_can_be_left_and_reached},
    {"life__a_stop_comes_to_its_end_from_everywhere", test_a_stop_comes_to_its_end_from_everywhere},
    {"life__a_life_without_trouble", test_a_life_without_trouble},
    {"life__starts_that_fail", test_starts_that_fail},
    {"life__a_service_that_is_looked_for", test_a_service_that_is_looked_for},
    {"life__a_peer_that_is_lost", test_a_peer_that_is_lost},
    {"life__a_peer_that_is_frozen_overdue_or_cut_off", test_a_peer_that_is_ended},
    {"life__a_restart_waits_for_calls", test_a_restart_waits_for_calls},
    {"life__a_restart_during_an_end", test_a_restart_during_an_end},
    {"life__a_service_that_gives_its_name_up", test_a_service_that_gives_its_name_up},
    {"life__a_service_whose_entry_is_missing", test_a_service_whose_entry_is_missing},
    {"life__every_transition_is_walked", test_every_transition_is_walked},
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        return print_table();
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
