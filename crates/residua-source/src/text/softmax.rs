        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scores: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
        let sum: f32 = scores.iter().sum();
        let scores: Vec<f32> = scores.iter().map(|score| score / sum).collect();
