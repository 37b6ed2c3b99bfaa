/* Intrusive lists: the links are members of the listed objects, so that nothing is allocated.
 *
 * mfi_list: linked in both directions; any member can be removed at once.
 * mfi_chain: linked in one direction, half the memory; members leave from the front.
 *
 * Neither is thread-safe. A zeroed link is in no list. */
#ifndef MFI_BASE_LIST_H
#define MFI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The object of which a node, a task, a timer or another part is a member. */
#define MFI_CONTAINER(pointer, type, member)                                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
/* The same for a pointer that may be NULL; the result is NULL then. */
#define MFI_CONTAINER_OR_NULL(pointer, type, member)                                               \
    ((type *)mfi_container_or_null((pointer), offsetof(type, member)))

static inline void *mfi_container_or_null(void *pointer, size_t offset)
{
    return pointer != NULL ? (char *)pointer - offset : NULL;
}

/* ---- Both directions ---- */

typedef struct mfi_list_node {
    struct mfi_list_node *next, *previous;
    bool is_listed;
} mfi_list_node;

/* All zero: empty. */
typedef struct mfi_list {
    mfi_list_node *first, *last;
} mfi_list;

static inline void mfi_list_push_back(mfi_list *list, mfi_list_node *node)
{
    node->next = NULL;
    node->previous = list->last;
    node->is_listed = true;
    if (list->last != NULL) {
        list->last->next = node;
    } else {
        list->first = node;
    }
    list->last = node;
}

/* Inserts a node before another one, or at the end if that is NULL. */
static inline void mfi_list_insert(mfi_list *list, mfi_list_node *before, mfi_list_node *node)
{
    if (before == NULL) {
        mfi_list_push_back(list, node);
        return;
    }
    node->next = before;
    node->previous = before->previous;
    node->is_listed = true;
    if (before->previous != NULL) {
        before->previous->next = node;
    } else {
        list->first = node;
    }
    before->previous = node;
}

/* A node that is in no list stays as it is. */
static inline void mfi_list_remove(mfi_list *list, mfi_list_node *node)
{
    if (!node->is_listed) {
        return;
    }
    if (node->previous != NULL) {
        node->previous->next = node->next;
    } else {
        list->first = node->next;
    }
    if (node->next != NULL) {
        node->next->previous = node->previous;
    } else {
        list->last = node->previous;
    }
    node->next = NULL;
    node->previous = NULL;
    node->is_listed = false;
}

/* Removes and returns the first node; NULL if the list is empty. */
static inline mfi_list_node *mfi_list_pop_front(mfi_list *list)
{
    mfi_list_node *node = list->first;
    if (node != NULL) {
        mfi_list_remove(list, node);
    }
    return node;
}

/* ---- One direction ---- */

typedef struct mfi_chain_node {
    struct mfi_chain_node *next;
} mfi_chain_node;

/* All zero: empty. */
typedef struct mfi_chain {
    mfi_chain_node *first, *last; /* an empty chain does not use last */
} mfi_chain;

static inline void mfi_chain_push_back(mfi_chain *chain, mfi_chain_node *node)
{
    node->next = NULL;
    if (chain->first != NULL) {
        chain->last->next = node;
    } else {
        chain->first = node;
    }
    chain->last = node;
}

static inline void mfi_chain_push_front(mfi_chain *chain, mfi_chain_node *node)
{
    node->next = chain->first;
    if (chain->first == NULL) {
        chain->last = node;
    }
    chain->first = node;
}

/* Removes and returns the first node; NULL if the chain is empty. */
static inline mfi_chain_node *mfi_chain_pop_front(mfi_chain *chain)
{
    mfi_chain_node *node = chain->first;
    if (node != NULL) {
        chain->first = node->next;
        node->next = NULL;
    }
    return node;
}

/* Moves all nodes of `from` to the front of `chain` in their order; `from` is empty then. */
static inline void mfi_chain_prepend(mfi_chain *chain, mfi_chain *from)
{
    if (from->first == NULL) {
        return;
    }
    from->last->next = chain->first;
    if (chain->first == NULL) {
        chain->last = from->last;
    }
    chain->first = from->first;
    from->first = NULL;
}

/* Removes a node by a walk from the front; false if the node is not in the chain. */
static inline bool mfi_chain_remove(mfi_chain *chain, mfi_chain_node *node)
{
    mfi_chain_node *before = NULL;
    for (mfi_chain_node *at = chain->first; at != NULL; before = at, at = at->next) {
        if (at != node) {
            continue;
        }
        if (before != NULL) {
            before->next = node->next;
        } else {
            chain->first = node->next;
        }
        if (chain->last == node) {
            chain->last = before;
        }
        node->next = NULL;
        return true;
    }
    return false;
}

#endif
