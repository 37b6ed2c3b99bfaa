/* How a closed set of words is written. Every header of this room is one set: a table of X(value,
 * word). The table becomes the enum and the words. Its length sizes everything that counts by it.
 * So a word that is in no table does not compile, and every word in a table has its series.
 *
 * Every set ends with a value ..._COUNT, and has one function that returns the word of a value. */
#ifndef MFI_WORDS_WORDS_H
#define MFI_WORDS_WORDS_H

#define MFI_WORD_VALUE(value, word) value,
#define MFI_WORD_TEXT(value, word) [value] = (word),

#endif
