/* The intrusive lists keep their order, and neither lose nor double a node. */
#include <string.h>

#include "base/list.h"
#include "mf_test.h"

typedef struct item {
    char name;
    mfi_list_node node;
    mfi_chain_node chained;
} item;

static item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};

/* Forward, and checked against the way back. */
static const char *names(const mfi_list *list)
{
    static char text[8];
    size_t length = 0, back = 0;
    for (mfi_list_node *at = list->first; at != NULL; at = at->next) {
        text[length++] = MFI_CONTAINER(at, item, node)->name;
        mf_check(at->is_listed);
    }
    text[length] = '\0';
    for (mfi_list_node *at = list->last; at != NULL; at = at->previous) {
        back++;
        mf_check_int(MFI_CONTAINER(at, item, node)->name, text[length - back]);
    }
    mf_check_int(back, length);
    return text;
}

static const char *chain_names(const mfi_chain *chain)
{
    static char text[8];
    size_t length = 0;
    for (mfi_chain_node *at = chain->first; at != NULL; at = at->next) {
        text[length++] = MFI_CONTAINER(at, item, chained)->name;
    }
    text[length] = '\0';
    return text;
}

static void test_list__any_member_can_leave(void)
{
    mfi_list list = {0};
    mf_check(mfi_list_pop_front(&list) == NULL);
    mfi_list_push_back(&list, &a.node);
    mfi_list_push_back(&list, &b.node);
    mfi_list_insert(&list, NULL, &d.node);
    mfi_list_insert(&list, &d.node, &c.node);
    mf_check_str(names(&list), "abcd");
    mfi_list_remove(&list, &b.node);
    mfi_list_remove(&list, &b.node); /* no member any more: nothing happens */
    mf_check_str(names(&list), "acd");
    mfi_list_insert(&list, &a.node, &b.node);
    mf_check_str(names(&list), "bacd");
    mfi_list_remove(&list, &d.node);
    mf_check(mfi_list_pop_front(&list) == &b.node);
    mfi_list_remove(&list, &a.node);
    mf_check_str(names(&list), "c");
    mfi_list_remove(&list, &c.node);
    mf_check(list.first == NULL && list.last == NULL && !c.node.is_listed);
}

static void test_chain__gives_in_order(void)
{
    mfi_chain chain = {0};
    mf_check(mfi_chain_pop_front(&chain) == NULL);
    mfi_chain_push_back(&chain, &b.chained);
    mfi_chain_push_back(&chain, &c.chained);
    mfi_chain_push_front(&chain, &a.chained);
    mf_check_str(chain_names(&chain), "abc");
    mf_check(mfi_chain_pop_front(&chain) == &a.chained);
    mf_check(mfi_chain_pop_front(&chain) == &b.chained);
    mf_check(mfi_chain_pop_front(&chain) == &c.chained);
    mf_check(mfi_chain_pop_front(&chain) == NULL);
    mfi_chain_push_front(&chain, &d.chained); /* what was emptied can be used on */
    mfi_chain_push_back(&chain, &a.chained);
    mf_check_str(chain_names(&chain), "da");
}

static void test_chain__is_put_before_another(void)
{
    mfi_chain first = {0}, second = {0};
    mfi_chain_push_back(&second, &c.chained);
    mfi_chain_prepend(&second, &first); /* of an empty one: nothing */
    mfi_chain_push_back(&first, &a.chained);
    mfi_chain_push_back(&first, &b.chained);
    mfi_chain_prepend(&second, &first);
    mf_check(first.first == NULL);
    mfi_chain_push_back(&second, &d.chained);
    mf_check_str(chain_names(&second), "abcd");
    mfi_chain_prepend(&first, &second); /* to an empty one */
    mfi_chain_push_back(&first, &(item){.name = 'e'}.chained);
    mf_check_str(chain_names(&first), "abcde");
}

static void test_chain__a_member_is_taken_out(void)
{
    mfi_chain chain = {0};
    mfi_chain_push_back(&chain, &a.chained);
    mfi_chain_push_back(&chain, &b.chained);
    mfi_chain_push_back(&chain, &c.chained);
    mf_check(mfi_chain_remove(&chain, &c.chained));
    mf_check(!mfi_chain_remove(&chain, &c.chained));
    mfi_chain_push_back(&chain, &d.chained); /* behind the new last one */
    mf_check_str(chain_names(&chain), "abd");
    mf_check(mfi_chain_remove(&chain, &a.chained));
    mf_check(mfi_chain_remove(&chain, &b.chained));
    mf_check(mfi_chain_remove(&chain, &d.chained));
    mf_check(chain.first == NULL);
}

static const mf_test tests[] = {
    {"list__any_member_can_leave", test_list__any_member_can_leave},
    {"chain__gives_in_order", test_chain__gives_in_order},
    {"chain__is_put_before_another", test_chain__is_put_before_another},
    {"chain__a_member_is_taken_out", test_chain__a_member_is_taken_out},
};
MF_TEST_MAIN(tests)
