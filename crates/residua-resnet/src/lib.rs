//! What a residual network is: recipes, anatomy and naming layouts.
