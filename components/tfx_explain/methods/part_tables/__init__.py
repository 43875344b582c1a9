"""What methods find inside features, over the whole data: words, windows, regions, and where in pictures they lie."""
