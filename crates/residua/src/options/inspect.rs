//! What is counted, and which columns a table of layers has.

use super::choices;

choices! {
    /// Whose way of counting is followed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Count {
        /// Every number that the function uses; the products of convolutions and matrix products
        Residua = "residua",
        /// Keras's `count_params`, which counts the same; Keras counts no MACs, these are residua's
        Keras = "keras",
        /// Learned numbers; in MACs also biases, and the scale and offset of norms once
        Torchinfo = "torchinfo",
        /// Learned numbers; in MACs also norms and global mean pools, for each of their elements
        Fvcore = "fvcore",
    }
}

#[expect(clippy::derivable_impls, reason = "choices take nothing but documentation")]
impl Default for Count {
    fn default() -> Self {
        Self::Residua
    }
}

choices! {
    /// A column of the layer table.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Column {
        /// Name in the source
        Name = "name",
        /// What the framework calls it
        Op = "op",
        /// Where it is: stem, block, head
        Part = "part",
        /// Shape of its result, in the source's axis order
        OutputShape = "output_shape",
        /// Rows and columns of its window
        Kernel = "kernel",
        /// Step of its window
        Stride = "stride",
        /// Step between the taps of its window
        Dilation = "dilation",
        /// Groups of its channels
        Groups = "groups",
        /// Numbers that it holds
        Parameters = "parameters",
        /// Those that are trained
        Trainable = "trainable",
        /// Multiply-adds
        Macs = "macs",
        /// Bytes of its result, for a batch of 1
        Memory = "memory",
        /// Rows and columns of the image that a pixel of its result depends on
        ReceptiveField = "receptive_field",
        /// Pixels of the image between neighbouring pixels of its result
        Step = "step",
        /// Share of all parameters up to and with this layer
        CumulativeParameters = "cumulative_parameters",
        /// Share of all multiply-adds up to and with this layer
        CumulativeMacs = "cumulative_macs",
        /// Codes of the findings about it
        Findings = "findings",
        /// Layers and inputs that it reads
        ConnectedTo = "connected_to",
    }
}
