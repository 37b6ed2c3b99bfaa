/* How a closed set of words is written down. Each header of this room is one set: a table of
 * X(value, word), which becomes the enum and the words, and whose length sizes whatever counts by
 * it. So a word that is in no table does not compile, and one that is in a table has its series.
 *
 * Each set ends with a value ..._COUNT, and has one function that gives the word of a value. */
#ifndef MFI_WORDS_WORDS_H
#define MFI_WORDS_WORDS_H

#define MFI_WORD_VALUE(value, word) value,
#define MFI_WORD_TEXT(value, word) [value] = (word),

#endif
